// Result<T, E>: the value, or the operating fault that prevented it.
//
// E is the module's own error: an enum class, or a small trivially copyable struct of code and context.
// A class and not an alias of std::expected, because gcc 12 does not warn about a discarded std::expected.
#pragma once

#include <expected>
#include <utility>

namespace ringfort {

template <class T, class E>
class [[nodiscard]] Result : public std::expected<T, E> {
  public:
    using std::expected<T, E>::expected;
    // .value() aborts without saying why: test, then use operator*.
    void value() const = delete;
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
