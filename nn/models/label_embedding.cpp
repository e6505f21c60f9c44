#include "nn/models/label_embedding.h"

namespace limbeck::nn {

std::unique_ptr<EmbeddingNetwork> create_embedding_network(const std::string& name,
                                                           const ModelOptions& options) {
  std::unique_ptr<Network> network = create_model(name, options);
  auto* embedding = dynamic_cast<EmbeddingNetwork*>(network.get());
  LIMBECK_CHECK(embedding, name, ": expected an embedding network such as ResNet34_embed");
  network.release();
  return std::unique_ptr<EmbeddingNetwork>(embedding);
}

LabelToEmbedding::LabelToEmbedding(int64_t dim) : dim_(dim) {
  LIMBECK_CHECK(dim > 0 && dim % 8 == 0,
                "LabelToEmbedding: expected a dimension that eight groups divide, found ", dim);
  for (int i = 0; i < 4; ++i) {
    main_.emplace<Linear>(i == 0 ? 1 : dim, dim);
    main_.emplace<GroupNorm>(8, dim);
    main_.emplace<ReLU>();
  }
  main_.emplace<Linear>(dim, dim);
  main_.emplace<ReLU>();
  add("main", main_);
}

Variable LabelToEmbedding::forward(const Variable& responses) {
  LIMBECK_CHECK(responses.data().numel() == responses.size(0),
                "LabelToEmbedding: expected one response per sample, found shape ",
                responses.shape());
  return main_(reshape(responses, {-1, 1}) + 1e-8);
}

}  // namespace limbeck::nn
