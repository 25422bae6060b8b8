// A program that starts a thread, for a moment only: what the thread checks must find.
#include <future>

int main() {
  return std::async(std::launch::async, [] { return 0; }).get();
}
