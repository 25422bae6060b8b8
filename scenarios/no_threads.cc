// Preloaded into a process by noise_test.sh: the process ends where it would start a thread,
// however short, in our code or in a library's.
#include <pthread.h>
#include <unistd.h>

#include <cstring>

extern "C" int pthread_create(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*) {
  constexpr char kText[] = "no_threads: a thread is started\n";
  const ssize_t written = ::write(STDERR_FILENO, kText, std::strlen(kText));
  ::_exit(written < 0 ? 87 : 86);
}
