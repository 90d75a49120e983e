/* systemd's notification protocol (sd_notify(3)), without its library: datagrams to the socket that
 * NOTIFY_SOCKET names. */
#ifndef MUSTER_APP_NOTIFY_H
#define MUSTER_APP_NOTIFY_H

#include <stdint.h>

/** Sends "READY=1", "STOPPING=1", "WATCHDOG=1" and the like; nothing without NOTIFY_SOCKET. */
void notify_service(const char *state);

/** How often the service manager wants WATCHDOG=1: half of WATCHDOG_USEC, in microseconds; 0:
 * never. */
uint64_t notify_watchdog_us(void);

#endif
