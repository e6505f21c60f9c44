#include "kd/outputs.h"

#include <algorithm>

#include "nn/images.h"
#include "tensor/transfer.h"

namespace limbeck::kd {

void stop_if_asked(nn::Monitor& monitor) {
  if (monitor.stop_requested())
    throw nn::Interrupted("stopped on request; run again to begin this stage anew");
}

Tensor outputs_for(const ImageFunction& network, const Tensor& images,
                   const data::Standardisation& standardisation, Device device,
                   nn::Monitor& monitor) {
  const NoGrad no_grad;
  constexpr int64_t batch = 200;
  const int64_t n = images.size(0);
  const nn::ImageStandardiser standardise(standardisation.mean, standardisation.deviation, device);
  Tensor all;
  LateReader reader;
  for (int64_t begin = 0; begin < n; begin += batch) {
    stop_if_asked(monitor);
    const Tensor x = standardise(images.rows(begin, std::min(begin + batch, n)).to(device));
    const Tensor f = network(Variable(x)).data().to(DType::f32);  // bf16 where activations are
    if (!all.defined()) all = Tensor::empty({n, f.size(1)});
    reader.read({f}, [&all, begin](const Tensors& on_host) {
      all.rows(begin, begin + on_host[0].size(0)).copy_from(on_host[0]);
    });
  }
  reader.finish();
  return all;
}

}  // namespace limbeck::kd
