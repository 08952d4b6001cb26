/* Disk faults for a process that loads this before its C library (LD_PRELOAD).
 *
 * The file that DISK_FAULT_FILE names is read at each sync and each positioned write; its first word says what happens to
 * regular files from then on:
 *
 *   none      nothing; the same where the file is not there
 *   fail      syncs fail with EIO
 *   stall     syncs and writes wait until the word is another one, at most two minutes
 *   slow N    each sync takes N milliseconds more
 *   tear      the next write of 512 bytes or more writes its first half, syncs it, and ends the process with SIGKILL
 *
 * Built with: cc -shared -fPIC -O2 -o disk_faults.so disk_faults.c -ldl
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { LOOK_MS = 5, STALL_MS_MAX = 120000, TEAR_BYTES_MIN = 512 };

struct fault {
    char word[8];
    long milliseconds;
};

static void pause_ms(long milliseconds) {
    struct timespec left = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

/* The fault of now. Reads by system calls alone, so that nothing here meets its own wrappers. */
static struct fault fault_now(void) {
    struct fault fault = {"none", 0};
    const char *path = getenv("DISK_FAULT_FILE");
    if (path == NULL) {
        return fault;
    }
    int kept = errno;
    int file = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (file >= 0) {
        char text[64] = {0};
        if (syscall(SYS_read, file, text, sizeof text - 1) > 0) {
            char *number = NULL;
            char *word = strtok_r(text, " \n", &number);
            if (word != NULL) {
                strncpy(fault.word, word, sizeof fault.word - 1);
                fault.milliseconds = number == NULL ? 0 : strtol(number, NULL, 10);
            }
        }
        syscall(SYS_close, file);
    }
    errno = kept;
    return fault;
}

static int is_data(int file) {
    struct stat found;
    return fstat(file, &found) == 0 && S_ISREG(found.st_mode);
}

/* Waits while the disk stalls, and gives the fault that is there then. */
static struct fault meet(int file) {
    struct fault fault = {"none", 0};
    if (!is_data(file)) {
        return fault;
    }
    fault = fault_now();
    for (long waited = 0; strcmp(fault.word, "stall") == 0 && waited < STALL_MS_MAX; waited += LOOK_MS) {
        pause_ms(LOOK_MS);
        fault = fault_now();
    }
    return fault;
}

/* Whether a sync of this file fails now; takes the time that it takes. */
static int sync_fails(int file) {
    struct fault fault = meet(file);
    if (strcmp(fault.word, "slow") == 0) {
        pause_ms(fault.milliseconds);
    }
    if (strcmp(fault.word, "fail") != 0) {
        return 0;
    }
    errno = EIO;
    return 1;
}

int fsync(int file) {
    return sync_fails(file) ? -1 : (int)syscall(SYS_fsync, file);
}

int fdatasync(int file) {
    return sync_fails(file) ? -1 : (int)syscall(SYS_fdatasync, file);
}

int sync_file_range(int file, off64_t offset, off64_t bytes, unsigned int flags) {
    static int (*next)(int, off64_t, off64_t, unsigned int);
    if (next == NULL) {
        next = (int (*)(int, off64_t, off64_t, unsigned int))dlsym(RTLD_NEXT, "sync_file_range");
    }
    return sync_fails(file) ? -1 : next(file, offset, bytes, flags);
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t offset) {
    static ssize_t (*next)(int, const void *, size_t, off64_t);
    if (next == NULL) {
        next = (ssize_t(*)(int, const void *, size_t, off64_t))dlsym(RTLD_NEXT, "pwrite64");
    }
    struct fault fault = meet(file);
    if (count >= TEAR_BYTES_MIN && strcmp(fault.word, "tear") == 0) {
        next(file, bytes, count / 2, offset);
        syscall(SYS_fdatasync, file);
        kill(getpid(), SIGKILL);
        pause();
    }
    return next(file, bytes, count, offset);
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t offset) {
    return pwrite64(file, bytes, count, offset);
}
