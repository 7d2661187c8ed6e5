// A process may be started with standard input, output or error closed. The next file or socket opened would get that
// number, and with it what is written for people: a line of the log in a segment, a reply of ringctl sent to a node.
#pragma once

#include <fcntl.h>
#include <unistd.h>

namespace ringfort::uring {

// Those of the three that are closed lead to /dev/null. To be called before anything else is opened.
// False: standard output was closed, and what is written to it is lost.
inline bool hold_standard_files() {
    bool output_open = true;
    for (int file = STDIN_FILENO; file <= STDERR_FILENO; file++) {
        if (fcntl(file, F_GETFD) == -1) {
            output_open = output_open && file != STDOUT_FILENO;
            if (open("/dev/null", O_RDWR) != file) {   // the lowest number that is free
                _exit(1);                              // nobody could be told why
            }
        }
    }
    return output_open;
}

}  // namespace ringfort::uring
