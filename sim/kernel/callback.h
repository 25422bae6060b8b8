// Callback: a move-only void() with room for 64 bytes of captures, so that scheduling an event with
// small captures allocates nothing. Larger captures live on the heap.
#pragma once

#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>

#include "families/base/check.h"

namespace qk::sim {

class Callback {
 public:
  static constexpr size_t kInlineBytes = 64;

  Callback() = default;
  template <typename F>
  requires(!std::is_same_v<std::decay_t<F>, Callback> && std::is_invocable_v<std::decay_t<F>&>)
      Callback(F&& f) {  // NOLINT: a lambda is a callback without further ceremony
    using Function = std::decay_t<F>;
    if constexpr (kFitsInline<Function>) {
      new (storage_) Function(std::forward<F>(f));
      operations_ = &kInlineOperations<Function>;
    } else {
      new (storage_) Function*(new Function(std::forward<F>(f)));
      operations_ = &kHeapOperations<Function>;
    }
  }
  Callback(Callback&& other) noexcept { take(&other); }
  Callback& operator=(Callback&& other) noexcept {
    if (this != &other) {
      reset();
      take(&other);
    }
    return *this;
  }
  Callback(const Callback&) = delete;
  Callback& operator=(const Callback&) = delete;
  ~Callback() { reset(); }

  explicit operator bool() const { return operations_ != nullptr; }
  void operator()() {
    QK_CHECK(operations_ != nullptr);
    operations_->invoke(storage_);
  }
  // Destroys the captures; the callback is empty afterwards.
  void reset() {
    if (operations_ == nullptr) return;
    std::exchange(operations_, nullptr)->destroy(storage_);
  }

  template <typename Function>
  static constexpr bool kFitsInline = sizeof(Function) <= kInlineBytes &&
                                      alignof(Function) <= alignof(std::max_align_t) &&
                                      std::is_nothrow_move_constructible_v<Function>;

 private:
  struct Operations {
    void (*invoke)(void* self);
    void (*move)(void* from, void* to);  // leaves nothing to destroy at `from`
    void (*destroy)(void* self);
  };

  template <typename Function>
  static constexpr Operations kInlineOperations = {
      [](void* self) { (*static_cast<Function*>(self))(); },
      [](void* from, void* to) {
        new (to) Function(std::move(*static_cast<Function*>(from)));
        static_cast<Function*>(from)->~Function();
      },
      [](void* self) { static_cast<Function*>(self)->~Function(); }};
  template <typename Function>
  static constexpr Operations kHeapOperations = {
      [](void* self) { (**static_cast<Function**>(self))(); },
      [](void* from, void* to) { new (to) Function*(*static_cast<Function**>(from)); },
      [](void* self) { delete *static_cast<Function**>(self); }};

  void take(Callback* other) {
    operations_ = std::exchange(other->operations_, nullptr);
    if (operations_ != nullptr) operations_->move(other->storage_, storage_);
  }

  const Operations* operations_ = nullptr;
  alignas(std::max_align_t) std::byte storage_[kInlineBytes];
};

}  // namespace qk::sim
