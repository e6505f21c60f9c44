// Loader: background threads make batches ahead into a ring of slots; next() hands them out in the
// order of the steps. For a device they are put into page-locked memory there, and when one is
// handed out the copies of the next one begin: they run beside its step.
#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <numeric>
#include <optional>
#include <thread>

#include "data/dataset.h"
#include "tensor/rows.h"
#include "tensor/transfer.h"

namespace limbeck::data {

int64_t steps_per_epoch(int64_t n, int64_t batch, bool drop_last) {
  const int64_t whole = n / batch, left = n % batch;
  return drop_last || left == 0 || (left == 1 && whole > 0) ? whole : whole + 1;
}

int64_t largest_batch(int64_t n, int64_t batch, bool drop_last) {
  const bool joined = !drop_last && n > batch && n % batch == 1;
  return joined ? batch + 1 : batch;
}

struct Loader::State {
  Dataset dataset;
  Config config;
  Stream stream;
  int64_t per_epoch = 0;

  std::mutex mutex;
  std::condition_variable changed;
  int64_t to_make = 0, to_hand_out = 0;  // steps
  bool stop = false;
  struct Slot {
    std::optional<Batch> batch;
    std::unique_ptr<Upload> upload;  // of the batch's tensors
    bool travels = false;            // the upload has begun
    std::exception_ptr error;
  };
  std::vector<Slot> ring;  // step s lives in slot s % depth
  std::vector<std::thread> threads;

  std::mutex order_mutex;
  int64_t order_epoch[2] = {-1, -1};  // of two epochs: prefetching crosses the border
  std::shared_ptr<const std::vector<int64_t>> orders[2];

  State(const Dataset& d, Config c, Stream s) : dataset(d), config(std::move(c)), stream(s) {}

  std::shared_ptr<const std::vector<int64_t>> order_of(int64_t epoch) {
    const std::lock_guard lock(order_mutex);
    const auto slot = epoch % 2;
    if (order_epoch[slot] != epoch) {
      Stream shuffle = stream.fork("shuffle", static_cast<uint64_t>(epoch));
      orders[slot] =
          std::make_shared<const std::vector<int64_t>>(shuffle.permutation(dataset.size()));
      order_epoch[slot] = epoch;
    }
    return orders[slot];
  }

  std::vector<int64_t> rows_of(int64_t step) {
    const int64_t in_epoch = step % per_epoch, first = in_epoch * config.batch;
    const bool takes_the_rest = !config.drop_last && in_epoch + 1 == per_epoch;
    const int64_t last = takes_the_rest ? dataset.size() : first + config.batch;
    std::vector<int64_t> rows(static_cast<size_t>(last - first));
    if (!config.shuffle) {
      std::iota(rows.begin(), rows.end(), first);
      return rows;
    }
    const auto order = order_of(step / per_epoch);
    std::copy(order->begin() + first, order->begin() + last, rows.begin());
    return rows;
  }

  /// The batch of a global step; depends on the stream and the step only.
  Batch make(int64_t step) {
    Batch b;
    b.index = config.pick ? config.pick(step) : rows_of(step);
    const ReplayedViews& replayed = config.replayed;
    const int64_t view = replayed.count > 0 ? step / per_epoch % replayed.count : 0;
    const Stream augment = replayed.count > 0 ? replayed.stream(view)
                                              : stream.fork("augment", static_cast<uint64_t>(step));
    const DrawnBy drawn_by = replayed.count > 0 ? DrawnBy::row : DrawnBy::place;
    Tensor images = dataset.images;
    std::vector<int64_t> rows = b.index;
    Augmentation augmentation = config.augmentation;
    if (config.views.quarter_turns) {
      images = quarter_turns(images, rows, augmentation.flip, augment.fork("turns"));
      rows.resize(static_cast<size_t>(images.size(0)));
      std::iota(rows.begin(), rows.end(), 0);
      augmentation.flip = augmentation.flip && config.views.flip_each;
    }
    if (config.device == cpu) {
      b.images = make_batch(images, rows, augmentation, config.standardisation, augment, drawn_by);
    } else {
      const ByteBatch bytes = make_byte_batch(images, rows, augmentation, augment, drawn_by);
      b.images = bytes.images, b.draws = bytes.draws;
    }
    b.labels = take_rows(dataset.labels, b.index);
    b.targets = take_rows(dataset.targets, b.index);
    if (replayed.outputs.defined())
      b.outputs =
          take_rows(replayed.outputs.rows(view, view + 1).reshape({dataset.size(), -1}), b.index);
    return b;
  }

  Slot make_slot(int64_t step) {
    Slot slot;
    slot.batch = make(step);
    const Batch& b = *slot.batch;
    slot.upload = stage({b.images, b.labels, b.targets, b.draws, b.outputs}, config.device);
    return slot;
  }

  /// The batch of a slot, where it was sent to.
  static Batch arrived(Slot slot) {
    const std::vector<Tensor> tensors = slot.upload->finish();
    return {tensors[0], tensors[1], tensors[2], std::move(slot.batch->index),
            tensors[3], tensors[4]};
  }

  void work() {
    std::unique_lock lock(mutex);
    for (;;) {
      changed.wait(lock, [&] { return stop || to_make < to_hand_out + config.depth; });
      if (stop) return;
      const int64_t step = to_make++;
      lock.unlock();
      Slot slot;
      try {
        slot = make_slot(step);
      } catch (...) {
        slot.error = std::current_exception();
      }
      lock.lock();
      ring[static_cast<size_t>(step % config.depth)] = std::move(slot);
      changed.notify_all();
    }
  }
};

Loader::Loader(const Dataset& dataset, Config config, Stream stream, int64_t first_step)
    : state_(std::make_unique<State>(dataset, std::move(config), stream)) {
  State& s = *state_;
  const int64_t n = dataset.size();
  LIMBECK_CHECK(n > 0, "loader: the dataset is empty");
  LIMBECK_CHECK(
      s.config.batch > 0 && s.config.threads >= 0 && s.config.depth > 0 && first_step >= 0,
      "loader: batch ", s.config.batch, ", depth ", s.config.depth, ", threads ", s.config.threads,
      ", first step ", first_step, ": expected positive (threads and first step 0 or more)");
  const ReplayedViews& replayed = s.config.replayed;
  LIMBECK_CHECK(replayed.count >= 0 && !(replayed.count > 0 && s.config.views.quarter_turns),
                "loader: views are replayed of images as they stand, not of their quarter turns");
  if (replayed.outputs.defined())
    LIMBECK_CHECK(replayed.outputs.rank() == 3 && replayed.outputs.size(0) == replayed.count &&
                      replayed.outputs.size(1) == n,
                  "loader: stored outputs: expected [", replayed.count, ", ", n,
                  ", outputs], found ", describe(replayed.outputs));
  s.per_epoch = data::steps_per_epoch(n, s.config.batch, s.config.drop_last);
  LIMBECK_CHECK(s.per_epoch > 0, "loader: drop_last with batches of ", s.config.batch,
                " leaves nothing of ", n, " images");
  s.to_make = s.to_hand_out = first_step;
  s.ring.resize(static_cast<size_t>(s.config.depth));
  for (int64_t i = 0; i < s.config.threads; ++i) s.threads.emplace_back([&s] { s.work(); });
}

Loader::~Loader() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stop = true;
  }
  state_->changed.notify_all();
  for (auto& t : state_->threads) t.join();
}

int64_t Loader::steps_per_epoch() const { return state_->per_epoch; }

Batch Loader::next() {
  State& s = *state_;
  if (s.threads.empty()) return State::arrived(s.make_slot(s.to_hand_out++));
  std::unique_lock lock(s.mutex);
  State::Slot& slot = s.ring[static_cast<size_t>(s.to_hand_out % s.config.depth)];
  s.changed.wait(lock, [&] { return slot.batch.has_value() || slot.error; });
  State::Slot out = std::move(slot);
  slot = {};
  ++s.to_hand_out;
  lock.unlock();
  s.changed.notify_all();
  if (out.error) std::rethrow_exception(out.error);
  Batch batch = State::arrived(std::move(out));
  lock.lock();
  // After the wait for this batch and before its step is queued, so that the copies need not wait
  // for that step. Not made yet: at the next call.
  State::Slot& next = s.ring[static_cast<size_t>(s.to_hand_out % s.config.depth)];
  if (next.upload && !next.travels) {
    next.upload->begin();
    next.travels = true;
  }
  return batch;
}

}  // namespace limbeck::data
