// CC: correlation congruence (Peng et al., "Correlation congruence for knowledge distillation",
// ICCV 2019; RepDistiller distiller_zoo/CC.py).
//   e = W f[-1] + b with `dim` outputs, one for each network, both trained;
//   D = |e_s - e_t| [N, dim]
//   loss = beta mean over b < N - 1 of sum_d D[b, d] D[b + 1, d],  dim = 128, beta = 0.02
// Official and paper: the paper compares matrices of correlations between samples (Eqs. 5 to 7);
// the code's form above couples neighbours in the shuffled batch, and since both embeddings learn,
// e_s = e_t = const is a minimum too. The official script has alpha = 0.
#include "kd/levels.h"
#include "kd/method.h"
#include "kd/parity_kd.h"
#include "nn/layers.h"

namespace limbeck::kd::cc {
namespace {

struct CcSettings : LossWeights {
  double weight = 0.02;
  int64_t dim = 128;
  CcSettings() { soft_weight = 0; }
  void fields(FieldVisitor& v) {
    LossWeights::fields(v);
    v("weight", weight, "beta: weight of the products of neighbours");
    v("dim", dim, "of the embeddings");
  }
};

struct Embedding : nn::Module {
  nn::Linear linear;
  Embedding(int64_t in, int64_t out) : linear(in, out) { add("linear", linear); }
  Variable forward(const Variable& x) override { return linear(x); }
};
struct Embeddings : nn::Module {
  Embedding student, teacher;
  Embeddings(int64_t in_student, int64_t in_teacher, int64_t out)
      : student(in_student, out), teacher(in_teacher, out) {
    add("embed_s", student), add("embed_t", teacher);
  }
};

class Cc : public Method {
 public:
  using Settings = CcSettings;
  explicit Cc(const Settings& s) : settings_(s) {
    check_weight(s.weight, "cc");
    LIMBECK_CHECK(s.dim > 0, "methods.cc.dim: expected at least 1, found ", s.dim);
  }
  LossWeights weights() const override { return settings_; }
  void prepare(const Pair& pair) override {
    const auto [s, t] = pooled_vectors("cc", pair.student, pair.teacher);
    embeddings_ = std::make_unique<Embeddings>(s.size(1), t.size(1), settings_.dim);
    embeddings_->initialise(pair.init);
  }
  Embeddings* auxiliary() override { return embeddings_.get(); }
  Variable loss(const DistillationStep& step) override {
    const auto [s, t] = pooled_vectors("cc", step.student, step.teacher);
    const Variable d = abs(embeddings_->student(s) - embeddings_->teacher(t));
    const int64_t n = d.size(0);
    if (n == 1) return sum(d) * 0;  // the last image of an epoch has no neighbour
    return sum(slice(d, 0, 0, n - 1) * slice(d, 0, 1, n)) *
           (settings_.weight / static_cast<double>(n - 1));
  }

 private:
  const Settings settings_;
  std::unique_ptr<Embeddings> embeddings_;
};

const RegisterMethod<Cc> registered("cc", "CC", Family::relations,
                                    "congruence of neighbours in a batch (Peng et al. 2019)");
const RegisterParityCase parity("CC", [](const ParityCase& c) {
  CcSettings settings;
  settings.weight = 1;
  settings.dim = c.parameter_elements("embed_s.linear.bias");
  const auto method = std::make_shared<Cc>(settings);
  return own_term(
      c, method, features_with_vector(c.student[0]), features_with_vector(c.teacher[0]), [method] {
        Embeddings& e = *method->auxiliary();
        return std::vector<ParityOutcome::Part>{{"embed_s.", &e.student}, {"embed_t.", &e.teacher}};
      });
});

}  // namespace
}  // namespace limbeck::kd::cc
