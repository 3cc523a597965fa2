/*
 * What NVIDIA's driver leaves in /dev/shm when a process that shared events ends without its exit
 * handlers: files named cuda.shm.UID.PID.N, all three in hexadecimal digits (observed with driver
 * 580).
 */
#pragma once

#include <sys/types.h>

/* Removes those of process pid of this user, in folder ("/dev/shm" but for tests). To be called
 * while the number still is that process's. */
void driver_files_remove(const char *folder, pid_t pid);
