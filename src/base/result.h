// Result<T, E>: the value, or the operating fault that prevented it.
//
// E is the module's own error: an enum class, or a small trivially copyable struct of code and context.
// A class of our own and not std::expected: gcc 12 does not warn about a discarded one, and clang 14 (fuzzers, clang-tidy)
// can keep nothing that has a destructor in it, nor in a std::variant. There is no value(): test, then use operator*,
// which asserts.
#pragma once

#include <expected>
#include <optional>
#include <type_traits>
#include <utility>

#include "base/assertion.h"

namespace ringfort {

template <class T, class E>
class [[nodiscard]] Result {
  public:
    using value_type = T;
    using error_type = E;

    // The value T{}.
    Result()
        requires std::is_default_constructible_v<T>
        : value_(std::in_place) {}
    template <class U = T>
        requires(std::is_constructible_v<T, U> && !std::is_same_v<std::remove_cvref_t<U>, Result>)
    explicit(!std::is_convertible_v<U, T>) Result(U&& value) : value_(std::in_place, std::forward<U>(value)) {}
    template <class F>
        requires std::is_constructible_v<E, F>
    Result(std::unexpected<F> fault) : error_(std::move(fault).error()) {}

    bool has_value() const { return value_.has_value(); }
    explicit operator bool() const { return has_value(); }

    // Requires: has_value().
    T& operator*() & { return held(); }
    const T& operator*() const& { return held(); }
    T&& operator*() && { return std::move(held()); }
    T* operator->() { return &held(); }
    const T* operator->() const { return &held(); }

    // Requires: !has_value().
    const E& error() const {
        ASSERT(!has_value());
        return error_;
    }

  private:
    T& held() {
        ASSERT(has_value());
        return *value_;
    }
    const T& held() const {
        ASSERT(has_value());
        return *value_;
    }

    std::optional<T> value_;
    E error_{};              // while there is no value
};

template <class E>
std::unexpected<E> failure(E error) {
    return std::unexpected<E>(std::move(error));
}

// Drops a result on purpose; the reason is for the reader.
template <class R>
void discard([[maybe_unused]] R&& result, [[maybe_unused]] const char* reason) {}

}  // namespace ringfort

// TRY(expr): returns expr's error from the enclosing function.
#define TRY(...)                                                  \
    do {                                                          \
        if (auto try_result_ = (__VA_ARGS__); !try_result_) {     \
            return ::ringfort::failure(try_result_.error());      \
        }                                                         \
    } while (false)

#define RINGFORT_CONCAT_(a, b) a##b
#define RINGFORT_CONCAT(a, b) RINGFORT_CONCAT_(a, b)
// TRY_ASSIGN(auto x, expr): x is expr's value, or the enclosing function returns expr's error.
#define TRY_ASSIGN(declaration, ...) \
    TRY_ASSIGN_(RINGFORT_CONCAT(try_result_, __LINE__), declaration, __VA_ARGS__)
#define TRY_ASSIGN_(name, declaration, ...)            \
    auto name = (__VA_ARGS__);                         \
    if (!name) {                                       \
        return ::ringfort::failure(name.error());      \
    }                                                  \
    declaration = std::move(*name)
