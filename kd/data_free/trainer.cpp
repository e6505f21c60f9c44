#include "kd/data_free/trainer.h"

#include <algorithm>
#include <cmath>

#include "data/sheet.h"
#include "gan/sampler.h"
#include "kd/data_free/pool.h"
#include "kd/data_free/synthesis.h"
#include "tensor/transfer.h"
#include "train/supervised.h"

namespace limbeck::kd::data_free {
namespace {

class Loop {
 public:
  Loop(const Task& task, const Settings& settings)
      : t_(task),
        s_(settings),
        update_(task.networks, settings, task.classes),
        standardisation_(task.networks.generator.standardisation()),
        sums_(task.classes),
        last_(task.classes) {
    if (s_.synthesis.used())
      synthesis_.emplace(task.networks, settings, task.classes, task.stream.fork("contrast"));
    if (s_.images_kept() == 0) return;
    const gan::NetworkConfig& c = task.networks.generator.config();
    pool_.emplace(s_.images_kept(), Shape{c.resolution, c.resolution, c.channels}, of_responses());
  }

  DataFreeResult run() {
    restore();
    t_.networks.teacher.eval();
    t_.networks.student.train();
    t_.networks.generator.train();
    const int64_t total = s_.epochs * s_.rounds;
    if (synthesis_ && t_.monitor.trial()) return tried_syntheses();
    while (done_ < total) {
      set_rates();
      one_round();
      ++done_;
      show_progress(total);
      if (nn::tried_enough(t_.monitor, total, [this] { reader_.finish(); })) return tried();
      if (done_ % s_.rounds == 0) end_epoch();
      nn::checkpoint(t_.monitor, [this] { return state(); });
    }
    result_.last = last_.means();
    result_.student_steps = (done_ - warmup_rounds()) * s_.student_steps_of_round();
    result_.generator_steps = done_ * s_.generator_steps;
    return result_;
  }

 private:
  int64_t epoch() const { return done_ / s_.rounds; }
  int64_t warmup_rounds() const { return s_.synthesis.warmup * s_.rounds; }

  void set_rates() {
    train::Settings after_warmup = s_;
    after_warmup.epochs -= s_.synthesis.warmup;
    const int64_t rounds = std::max<int64_t>(0, done_ - warmup_rounds());
    const double lr = train::learning_rate(after_warmup, rounds * s_.student_steps_of_round(),
                                           s_.steps_per_epoch());
    update_.student_optimizer().set_lr(lr);
    update_.generator_optimizer().set_lr(
        s_.generator.schedule == "student" ? s_.generator.lr * lr / s_.lr : s_.generator.lr);
  }

  double adversarial() const {
    const double warm = s_.loss.adversarial_warmup * static_cast<double>(s_.epochs);
    return static_cast<double>(epoch()) < warm ? 0 : s_.loss.adversarial;
  }

  void one_round() {
    const Stream here = t_.stream.fork("round", static_cast<uint64_t>(done_));
    if (synthesis_) return round_of_syntheses(here);
    if (s_.order == "joint") {
      for (int64_t k = 0; k < s_.generator_steps; ++k) joint_step(here, k);
      return;
    }
    if (s_.order == "student") student_steps(here);
    for (int64_t k = 0; k < s_.generator_steps; ++k)
      read_generator(update_.generator(images(here, "generator", k), noise(here, "generator", k),
                                       adversarial()));
    if (s_.order == "generator") student_steps(here);
  }
  void student_steps(const Stream& here) {
    for (int64_t k = 0; k < s_.student_steps; ++k) {
      const Stream its_images = images(here, "student", k), dropout = noise(here, "student", k);
      if (!pool_ || pool_->size() == 0) {
        read_student(update_.student(its_images, dropout), 0);
        continue;
      }
      const ImagePool::Batch batch = pool_->draw(s_.pooled(), {s_.crop_padding, s_.flip},
                                                 here.fork("pool", static_cast<uint64_t>(k)));
      read_student(update_.student_beside(its_images, batch.images.images, batch.images.draws,
                                          batch.labels, dropout),
                   0);
    }
    if (pool_) keep_made();
  }
  /// After a round and not after a step, however late its images are read.
  void keep_made() {
    reader_.finish();
    for (const Tensors& batch : made_) pool_->add(batch[0], batch[1]);
    made_.clear();
  }
  void joint_step(const Stream& here, int64_t k) {
    const Tensors all =
        update_.joint(images(here, "joint", k), noise(here, "joint", k), adversarial());
    read_generator(all);
    read_student(all, 2);
  }

  /// The images of a synthesis come to those that are there, and the student learns from all.
  void round_of_syntheses(const Stream& here) {
    synthesise(here, s_.generator_steps);
    for (int64_t k = 0; k < s_.student_steps && epoch() >= s_.synthesis.warmup; ++k)
      student_step_on_pool(here, k);
  }
  /// A stop that is asked for during a long one leaves the state before it.
  void synthesise(const Stream& here, int64_t steps) {
    reader_.finish();
    newest_ = synthesis_->make(here.fork("synthesis"), done_, steps, adversarial(), [this] {
      if (t_.monitor.stop_requested()) nn::checkpoint(t_.monitor, [this] { return state(); });
    });
    pool_->add(newest_.images, newest_.labels);
    sums_.add_generator(finite(newest_.loss, "the loss of a synthesis", done_), newest_.statistics);
  }
  void student_step_on_pool(const Stream& here, int64_t k) {
    const int64_t n = s_.synthesis.student_batch > 0 ? s_.synthesis.student_batch : s_.batch;
    const ImagePool::Batch batch =
        pool_->draw(n, {s_.crop_padding, s_.flip}, images(here, "student", k));
    read_student(update_.student_on(batch.images.images, batch.images.draws, batch.labels,
                                    noise(here, "student", k)),
                 0);
  }

  Stream images(const Stream& here, const char* whose, int64_t k) const {
    return s_.same_noise ? here.fork("images") : here.fork(whose, static_cast<uint64_t>(k));
  }
  static Stream noise(const Stream& here, const char* whose, int64_t k) {
    return here.fork(whose, static_cast<uint64_t>(k)).fork("dropout");
  }

  void read_generator(const Tensors& values) {
    reader_.read({values[0], values[1]}, [this, round = done_](const Tensors& on_host) {
      sums_.add_generator(finite(on_host[0].item(), "the generator's loss", round),
                          on_host[1].item());
    });
  }
  void read_student(const Tensors& values, size_t begin) {
    reader_.read({values.begin() + static_cast<std::ptrdiff_t>(begin), values.end()},
                 [this, round = done_](const Tensors& on_host) {
                   finite(on_host[0].item(), "the student's loss", round);
                   sums_.add_student(on_host);
                   if (s_.pool == 0) return;
                   made_.push_back(
                       {bytes_of(on_host.end()[-2], standardisation_), on_host.end()[-1].clone()});
                 });
  }
  double finite(double loss, const char* whose, int64_t round) const {
    LIMBECK_CHECK(std::isfinite(loss), "data-free distillation diverged: ", whose, " is ", loss,
                  " in round ", round, "; lower the learning rates");
    return loss;
  }

  void show_progress(int64_t total) {
    const Health now = sums_.means();
    nn::Values values;
    if (sums_.has_student() && of_responses())
      values = {{"loss", now.loss}, {"label_error", range() * now.label_error}};
    else if (sums_.has_student())
      values = {{"loss", now.loss}, {"agreement", now.agreement}, {"hit_rate", now.hit_rate}};
    t_.monitor.progress(done_, total, s_.student_steps_of_round() * s_.batch, values);
  }

  void end_epoch() {
    reader_.finish();
    const int64_t ended = epoch();
    last_ = sums_;
    const Health now = last_.means();
    sums_ = HealthSums(t_.classes);
    nn::Values values = described(now, range());
    values.emplace_back("lr", update_.student_optimizer().lr());
    const bool last = ended == s_.epochs;
    if (t_.test.size() > 0 && (last || (s_.evaluate_every > 0 && ended % s_.evaluate_every == 0))) {
      result_.test_metric = evaluate(t_.test);
      values.emplace_back(std::string("test_") + t_.criterion.metric(), result_.test_metric);
    }
    t_.monitor.metrics(ended, values);
    note_collapse(ended, now);
    const int64_t every = std::max<int64_t>(1, s_.epochs / 10);
    if (last || ended % every == 0) show_images(ended);
  }

  bool of_responses() const { return t_.classes == 0; }
  /// Of the responses in their unit; 0: of classes.
  double range() const { return of_responses() ? t_.scale.high - t_.scale.low : 0; }

  /// What has gone wrong with the images; empty: nothing.
  std::string collapse_of(const Health& now) const {
    if (of_responses()) {
      constexpr double most_error = 0.2;  // one response for all of them has at least 0.25
      return now.label_error <= most_error
                 ? ""
                 : cat("the teacher's responses are ", range() * now.label_error, " ",
                       t_.scale.unit, " from the requested ones");
    }
    constexpr double least_entropy = 0.5;
    const bool asked = (synthesis_ || t_.networks.generator.conditional()) &&
                       s_.loss.labelled > 0 && s_.loss.cls > 0;
    const double least_hits = 2 / static_cast<double>(t_.classes);
    const bool collapsed =
        now.class_entropy < least_entropy || (asked && t_.classes > 2 && now.hit_rate < least_hits);
    return !collapsed ? ""
                      : cat("the teacher's classes have ", now.class_entropy,
                            " of the entropy of even ones, ", now.hit_rate,
                            " of the images get the requested class");
  }
  /// A generator that makes few classes, or not those that it is asked for: said, not stopped.
  void note_collapse(int64_t ended, const Health& now) {
    constexpr int64_t patience = 10;
    if (ended < s_.synthesis.warmup + patience || noted_) return;
    const std::string collapse = collapse_of(now);
    if (collapse.empty()) return;
    noted_ = true;
    t_.monitor.note(cat("the generator has collapsed at epoch ", ended, ": ", collapse));
  }

  double evaluate(const data::Dataset& images) {
    return train::evaluate(t_.networks.student, images, standardisation_, t_.criterion);
  }
  void show_images(int64_t ended) {
    std::string number = std::to_string(ended);
    number.insert(0, number.size() < 4 ? 4 - number.size() : 0, '0');
    t_.monitor.image(
        "images-" + number,
        synthesis_ ? sheet_of(newest_) : sheet(t_.networks.generator, t_.stream.fork("sheet")));
  }
  Tensor sheet_of(const Synthesised& made) const {
    constexpr int64_t columns = 10, most_rows = 10;
    data::Dataset d;
    d.images = made.images, d.labels = made.labels, d.classes = t_.classes;
    return data::grid(data::class_sheet(d, columns, most_rows), columns);
  }

  /// What a trial cannot see in its rounds: evaluations and sheets.
  DataFreeResult tried() {
    nn::Trial& trial = *t_.monitor.trial();
    constexpr int64_t most = 200, sheets = 10;
    if (const int64_t n = t_.test.size(), some = std::min(n, most); n > 0) {
      data::Dataset few = t_.test;
      few.images = few.images.rows(0, some);
      few.labels = few.labels.rows(0, some);
      const auto every = static_cast<double>(std::max<int64_t>(1, s_.evaluate_every));
      const double times = s_.evaluate_every > 0 ? static_cast<double>(s_.epochs) / every : 1;
      trial.measure(times * static_cast<double>(n) / static_cast<double>(some),
                    [&] { evaluate(few); });
    }
    trial.measure(sheets, [&] { show_images(0); });
    return result_;
  }

  /// A synthesis and a student's step in parts: a whole round takes long.
  DataFreeResult tried_syntheses() {
    nn::Trial& trial = *t_.monitor.trial();
    const Stream here = t_.stream.fork("round", 0);
    constexpr int64_t steps = 2;
    const auto rounds = static_cast<double>(s_.epochs * s_.rounds);
    synthesise(here, steps);  // memory is taken and kernels are chosen
    trial.measure(rounds * static_cast<double>(s_.generator_steps) / steps,
                  [&] { synthesise(here, steps); });
    const int64_t total = (s_.epochs * s_.rounds - warmup_rounds()) * s_.student_steps;
    int64_t k = 0;
    do student_step_on_pool(here, k++);
    while (!nn::tried_enough(t_.monitor, total, [this] { reader_.finish(); }));
    return tried();
  }

  TensorFile state() {
    reader_.finish();
    TensorFile file;
    file.add_part("student.", t_.networks.student.state_dict());
    file.add_part("generator.", t_.networks.generator.state_dict());
    file.add_part("student_optimizer.", update_.student_optimizer().state());
    file.add_part("generator_optimizer.", update_.generator_optimizer().state());
    if (synthesis_) file.add_part("synthesis.", synthesis_->state());
    if (pool_) file.add_part("pool.", pool_->state());
    file.add("loop.round", Tensor::of<int64_t>({done_, noted_}));
    file.add("loop.sums", Tensor::of<double>(sums_.numbers()));
    file.add("loop.last", Tensor::of<double>(last_.numbers()));
    file.add("loop.test", Tensor::of<double>({result_.test_metric}));
    return file;
  }

  void restore() {
    const std::optional<TensorFile> saved = t_.monitor.load();
    if (!saved) return;
    const char* const what = "saved training state";
    t_.networks.student.load_state_dict(saved->part("student."), what);
    t_.networks.generator.load_state_dict(saved->part("generator."), what);
    update_.student_optimizer().load_state(saved->part("student_optimizer."), what);
    update_.generator_optimizer().load_state(saved->part("generator_optimizer."), what);
    if (synthesis_) synthesis_->load(saved->part("synthesis."));
    if (pool_) pool_->load(saved->part("pool."));
    const auto loop = saved->get("loop.round").to_vector<int64_t>();
    done_ = loop.at(0), noted_ = loop.at(1) != 0;
    sums_.set(saved->get("loop.sums").to_vector<double>());
    last_.set(saved->get("loop.last").to_vector<double>());
    result_.test_metric = saved->get("loop.test").item();
  }

  const Task& t_;
  const Settings& s_;
  Update update_;
  const data::Standardisation standardisation_;
  std::optional<Synthesis> synthesis_;
  std::optional<ImagePool> pool_;
  Synthesised newest_;
  std::vector<Tensors> made_;  // bytes and labels of a round, before they come to the pool
  LateReader reader_;
  HealthSums sums_, last_;  // of the running epoch and of the one before it
  DataFreeResult result_;
  int64_t done_ = 0;    // rounds
  bool noted_ = false;  // a collapse
};

}  // namespace

DataFreeResult fit(const Task& task, const Settings& settings) {
  check(settings, "data-free distillation");
  return Loop(task, settings).run();
}

Tensor sheet(gan::DataFreeGenerator& generator, const Stream& stream) {
  constexpr int64_t columns = 10, most_rows = 10;
  const int64_t rows = std::min(most_rows, generator.config().classes);
  const bool of_responses =
      gan::condition_kind(generator.config().arch) == gan::ConditionKind::response;
  std::vector<int64_t> classes(static_cast<size_t>(rows * columns));
  std::vector<float> responses(classes.size());
  for (size_t i = 0; i < classes.size(); ++i) {
    classes[i] = static_cast<int64_t>(i) / columns;
    responses[i] = static_cast<float>(classes[i]) / static_cast<float>(rows - 1);
  }
  const Tensor labels =
      of_responses ? Tensor::of(responses).reshape({rows * columns, 1}) : Tensor::of(classes);
  const Tensor images = gan::sample(generator, condition_of(labels, {}), stream);
  return data::grid(data::to_bytes(images), columns);
}

}  // namespace limbeck::kd::data_free
