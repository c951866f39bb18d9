/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pace PORT PATH RATE SECONDS CONNECTIONS TOKEN-FILE: asks at an even pace, whatever the answers take, and tells how
 * long they took. A request whose connection is still busy waits, and its waiting counts: else a slow answer would hide
 * the requests that it held up. Prints p50, p99 and the slowest in milliseconds, and how many were answered; exits 1 if
 * one was not answered 200.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_CONNECTIONS 256u
#define ROOM ((size_t)64 * 1024)

struct connection {
    bool busy;
    uint64_t due; /* when its request should have gone out */
    char head[8192];
    size_t head_len, body_left;
    bool in_body;
};

static struct connection connections[MAX_CONNECTIONS];
static struct pollfd polled[MAX_CONNECTIONS];
static unsigned count;
static char request[16384];
static double *took;
static size_t answered, total;

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void die(const char *what)
{
    fprintf(stderr, "pace: %s\n", what);
    exit(1);
}

static void connect_all(uint16_t port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    const int on = 1;
    for (unsigned i = 0; i < count; i++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof at) != 0)
            die("cannot connect");
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        polled[i] = (struct pollfd){.fd = fd, .events = POLLIN};
    }
}

static void make_request(const char *port, const char *path, const char *token_file)
{
    char token[8192];
    FILE *file = fopen(token_file, "r");
    if (!file || !fgets(token, sizeof token, file))
        die("no token");
    fclose(file);
    token[strcspn(token, "\r\n")] = '\0';
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost:%s\r\nAuthorization: Bearer %s\r\n\r\n", path,
        port, token);
}

static void ask(unsigned i, uint64_t due)
{
    connections[i].busy = true;
    connections[i].due = due;
    connections[i].head_len = 0;
    connections[i].in_body = false;
    if (send(polled[i].fd, request, strlen(request), MSG_NOSIGNAL) != (ssize_t)strlen(request))
        die("cannot send");
}

static void read_head(struct connection *c, const char *end)
{
    size_t size = (size_t)(end - c->head) + 4;
    c->head[c->head_len] = '\0';
    const char *length = strcasestr(c->head, "\r\nContent-Length:");
    if (strncmp(c->head, "HTTP/1.1 200 ", 13) != 0 || !length || length > end)
        die("an answer is not 200, or tells no length");
    c->body_left = strtoul(length + 17, NULL, 10);
    c->in_body = true;
    c->body_left -= c->head_len - size;
}

static void take(struct connection *c, const char *bytes, size_t len)
{
    if (c->in_body) {
        c->body_left -= len;
        return;
    }
    if (len > sizeof c->head - 1 - c->head_len) { /* the rest is body */
        size_t part = sizeof c->head - 1 - c->head_len;
        take(c, bytes, part);
        if (!c->in_body)
            die("a head without end");
        c->body_left -= len - part;
        return;
    }
    memcpy(c->head + c->head_len, bytes, len);
    c->head_len += len;
    const char *end = memmem(c->head, c->head_len, "\r\n\r\n", 4);
    if (end)
        read_head(c, end);
}

static void hear(unsigned i)
{
    static char bytes[ROOM];
    struct connection *c = &connections[i];
    ssize_t len = recv(polled[i].fd, bytes, sizeof bytes, 0);
    if (len <= 0)
        die("a connection was closed");
    take(c, bytes, (size_t)len);
    if (c->in_body && c->body_left == 0 && c->busy) {
        c->busy = false;
        took[answered++] = (double)(now_ns() - c->due) / 1e6;
    }
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void run(double rate)
{
    uint64_t begin = now_ns(), step = (uint64_t)(1e9 / rate);
    size_t sent = 0;
    while (answered < total) {
        uint64_t now = now_ns();
        for (unsigned i = 0; i < count && sent < total && begin + sent * step <= now; i++)
            if (!connections[i].busy) {
                ask(i, begin + sent * step);
                sent++;
            }
        uint64_t next = begin + sent * step;
        struct timespec wait = {0, sent < total && next > now ? (long)((next - now) % 1000000000u) : 20000000};
        if (sent < total && next <= now)
            wait.tv_nsec = 1000000; /* every connection is busy */
        if (ppoll(polled, count, &wait, NULL) < 0 && errno != EINTR)
            die("poll");
        for (unsigned i = 0; i < count; i++)
            if (polled[i].revents)
                hear(i);
    }
}

int main(int argc, char **argv)
{
    if (argc != 7)
        die("usage: pace PORT PATH RATE SECONDS CONNECTIONS TOKEN-FILE");
    double rate = strtod(argv[3], NULL), seconds = strtod(argv[4], NULL);
    count = (unsigned)strtoul(argv[5], NULL, 10);
    total = (size_t)(rate * seconds);
    took = calloc(total + 1, sizeof *took);
    if (!count || count > MAX_CONNECTIONS || !total || !took)
        die("a number is out of range");
    make_request(argv[1], argv[2], argv[6]);
    connect_all((uint16_t)atoi(argv[1]));
    run(rate);
    qsort(took, answered, sizeof *took, compare);
    printf("%.3f %.3f %.3f %zu\n", took[answered / 2], took[answered * 99 / 100], took[answered - 1], answered);
    free(took);
    return 0;
}
