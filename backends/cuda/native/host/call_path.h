/* Where in the source a thread is, down from its kernel. */
#pragma once

#include <dlfcn.h>
#include <execinfo.h>

#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

namespace host {

/* Addresses in the code, the innermost first. */
using CallPath = std::vector<char *>;

/* Of the caller that goes on at `innermost`. */
inline CallPath callPathFrom(const void *innermost) {
  void *frames[32];
  const int count = backtrace(frames, 32);
  int first = 0;
  while (first < count - 1 && frames[first] != innermost) first++;
  CallPath path;
  for (int i = first; i < count; i++) path.push_back(static_cast<char *>(frames[i]));
  return path;
}

/* "inner.cuh:9 < outer.cuh:20 of kernel name", as far as addr2line knows them. */
inline std::string describe(const CallPath &path) {
  Dl_info library{};
  dladdr(path[0], &library);
  std::string command = "addr2line -Cfise '" + std::string(library.dli_fname) + "' 2>/dev/null";
  char function[2048], line[1024];
  for (char *address : path) {
    snprintf(line, sizeof line, " 0x%tx", address - 1 - static_cast<char *>(library.dli_fbase));
    command += line;
  }
  std::vector<std::pair<std::string, std::string>> known;
  FILE *names = popen(command.c_str(), "r");
  while (names != nullptr && fgets(function, sizeof function, names) && fgets(line, sizeof line, names)) {
    /* What calls the function object that calls the kernel. */
    if (strstr(function, "_M_invoke") != nullptr || strstr(function, "__invoke_impl") != nullptr) break;
    known.push_back({std::string(function, strcspn(function, "\n")), std::string(line, strcspn(line, " \n"))});
  }
  if (names != nullptr) pclose(names);
  while (!known.empty() && known.back().first.find("operator()") != std::string::npos) known.pop_back();
  if (known.empty()) return "in an unknown kernel";
  std::string lines;
  for (const auto &[name, place] : known) lines += (lines.empty() ? "" : " < ") + place;
  return lines + " of kernel " + known.back().first;
}

}  // namespace host
