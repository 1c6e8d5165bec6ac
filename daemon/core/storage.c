/* SPDX-License-Identifier: MIT */
/*
 * One queue, in the order of submission: first the requests that were sent and wait for their
 * reply, then those that were not sent yet. Few are sent at a time: the process does one after the
 * other anyway, the kernel counts descriptors in flight against our limit, and so the socket's
 * buffer is never full for long (what does not fit is sent at the next reply).
 *
 * The end of the file on the socket is how the process's death is told, not its pidfd: only there
 * are we sure to have read every reply it gave. The loop reaps it whenever it ends.
 *
 * A process that waits for a disk, however long, is waited for: there is no telling a slow disk
 * from a dead one. One that was stopped by a signal would never come back, and is killed.
 *
 * A call back may submit, or free the storage. So each handler calls one call back, as its last
 * act; what a death leaves behind is answered one by one from a timer.
 */
#include "daemon/core/storage.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/model/worker_protocol.h"
#include "common/util/clock.h"
#include "common/util/fd.h"
#include "common/util/log.h"
#include "common/util/process.h"
#include "daemon/core/child.h"

#define MAX_SENT	 16
#define NUMBER_SIZE	 24
#define LOOK_NS		 CLOCK_NS_PER_SEC
#define SEND_RETRY_NS	 (10 * CLOCK_NS_PER_MS)
#define SEND_PATIENCE_NS (10 * CLOCK_NS_PER_SEC)

struct pending {
	struct storage_request request;
	int fds[STORAGE_MAX_FDS];
	storage_done_fn fn;
	void *userdata;
	struct pending *next;
};

struct queue {
	struct pending *head, **tail;
};

struct storage {
	struct loop *loop;
	int program_fd;
	struct storage_reach reach;
	int socket_fd; /* -1: no process */
	struct loop_source *socket_source;
	struct loop_source *lost_timer; /* fires at once while there is something in `lost` */
	struct loop_source *send_timer; /* tries again what could not be sent for want of memory */
	int64_t send_until_ns;		/* no longer than that; 0: all could be sent so far */
	struct loop_source *look_timer; /* while something is asked: is the process stopped? */
	bool is_looking;		/* look_timer is armed */
	bool was_stopped;		/* when we last looked */
	pid_t pid;
	int pid_fd;	    /* for the kill: by now the pid may be another's */
	struct queue queue; /* the first n_sent have been sent */
	struct queue lost;
	size_t n_sent;
	uint64_t next_cookie;
};

static void queue_init(struct queue *queue)
{
	queue->head = NULL;
	queue->tail = &queue->head;
}

static void queue_push(struct queue *queue, struct pending *pending)
{
	pending->next = NULL;
	*queue->tail = pending;
	queue->tail = &pending->next;
}

static struct pending *queue_pop(struct queue *queue)
{
	struct pending *pending = queue->head;
	if (pending) {
		queue->head = pending->next;
		if (!queue->head) {
			queue->tail = &queue->head;
		}
	}
	return pending;
}

/* Moves all of `from` behind `to`. */
static void queue_append(struct queue *to, struct queue *from)
{
	if (from->head) {
		*to->tail = from->head;
		to->tail = from->tail;
		queue_init(from);
	}
}

static struct pending *pending_free(struct pending *pending)
{
	for (size_t i = 0; pending && i < STORAGE_MAX_FDS; i++) {
		fd_close(pending->fds[i]);
	}
	free(pending);
	return NULL;
}

static int pending_new(const struct storage_request *request, const int *fds,
		       struct pending **ret_pending)
{
	struct pending *pending = malloc(sizeof(*pending));
	if (!pending) {
		return -ENOMEM;
	}
	pending->request = *request;
	for (size_t i = 0; i < STORAGE_MAX_FDS; i++) {
		pending->fds[i] = -1;
	}
	for (size_t i = 0; i < request->n_fds; i++) {
		pending->fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
		if (pending->fds[i] < 0) {
			int r = -errno;
			pending_free(pending);
			return r;
		}
	}
	*ret_pending = pending;
	return 0;
}

/* Frees the request, then calls back: the last act of whoever calls this. */
static void pending_answer(struct pending *pending, const struct storage_reply *reply)
{
	storage_done_fn fn = pending->fn;
	void *userdata = pending->userdata;
	pending_free(pending);
	if (fn) {
		fn(userdata, reply);
	}
}

/* Answers one, and comes again for the next. */
static void on_lost(void *userdata, int64_t now_ns)
{
	struct storage *storage = userdata;
	struct pending *pending = queue_pop(&storage->lost);
	if (storage->lost.head && loop_timer_arm(storage->lost_timer, 0) < 0) {
		log_error("storage: answers to lost requests are stuck");
	}
	if (pending) {
		struct storage_reply reply = {
			.cookie = pending->request.cookie, .status = -EIO, .is_lost = true};
		pending_answer(pending, &reply);
	}
}

/* The process is gone, or must go: it ends when it sees its socket closed. */
static void storage_disconnect(struct storage *storage)
{
	storage->socket_source = loop_source_free(storage->socket_source);
	storage->socket_fd = fd_close(storage->socket_fd);
	storage->pid_fd = fd_close(storage->pid_fd);
	storage->was_stopped = false;
	storage->n_sent = 0;
}

static void storage_lose_all(struct storage *storage)
{
	storage_disconnect(storage);
	queue_append(&storage->lost, &storage->queue);
	if (storage->lost.head && loop_timer_arm(storage->lost_timer, 0) < 0) {
		log_error("storage: answers to lost requests are stuck");
	}
}

static int pending_send(const struct pending *pending, int socket_fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int) * STORAGE_MAX_FDS)];
		struct cmsghdr align;
	} control = {0};
	size_t fds_size = sizeof(int) * pending->request.n_fds;
	struct storage_request request = pending->request;
	struct iovec iov = {.iov_base = &request, .iov_len = sizeof(request)};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
	if (fds_size > 0) {
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(fds_size);
		struct cmsghdr *header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(fds_size);
		memcpy(CMSG_DATA(header), pending->fds, fds_size);
	}
	ssize_t n;
	do {
		n = sendmsg(socket_fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

static bool is_passing(int error)
{
	return error == -ENOMEM || error == -ENOBUFS || error == -EAGAIN || error == -ETOOMANYREFS;
}

/* No reply will give another chance, but time may. Returns 0, or `error` if that was hoped enough.
 */
static int storage_put_off(struct storage *storage, int error)
{
	int64_t now_ns = clock_monotonic_ns();
	if (storage->send_until_ns == 0) {
		storage->send_until_ns = now_ns + SEND_PATIENCE_NS;
	}
	if (!is_passing(error) || now_ns >= storage->send_until_ns ||
	    loop_timer_arm(storage->send_timer, now_ns + SEND_RETRY_NS) < 0) {
		storage->send_until_ns = 0;
		return error;
	}
	return 0;
}

/* A second look that finds it stopped: the first one may have met a debugger's hand. */
static void storage_look(struct storage *storage)
{
	char state;
	bool is_stopped = process_state(storage->pid, &state) == 0 && state == 'T';

	if (is_stopped && storage->was_stopped) {
		log_warning("storage: the process is stopped; it is killed, its work done anew");
		(void)syscall(SYS_pidfd_send_signal, storage->pid_fd, SIGKILL, NULL, 0);
	}
	storage->was_stopped = is_stopped;
}

static void storage_look_later(struct storage *storage)
{
	if (!storage->is_looking && storage->n_sent > 0) {
		storage->is_looking = loop_timer_arm(storage->look_timer,
						     clock_monotonic_ns() + LOOK_NS) == 0;
	}
}

static void on_look(void *userdata, int64_t now_ns)
{
	struct storage *storage = userdata;

	storage->is_looking = false;
	if (storage->n_sent > 0) {
		storage_look(storage);
		storage_look_later(storage);
	}
}

/*
 * Sends what may be sent. Returns 0, or -errno if the oldest request can't be and there will be no
 * other chance. A dead process is no error here: the socket tells it to on_socket.
 */
static int storage_pump(struct storage *storage)
{
	struct pending *pending = storage->queue.head;
	for (size_t i = 0; i < storage->n_sent; i++) {
		pending = pending->next;
	}
	for (; pending && storage->n_sent < MAX_SENT; pending = pending->next) {
		int r = pending_send(pending, storage->socket_fd);
		if (r == -EPIPE || r == -ECONNRESET) {
			return 0;
		}
		if (r < 0) {
			return storage->n_sent > 0 ? 0 : storage_put_off(storage, r);
		}
		storage->n_sent++;
		storage->send_until_ns = 0;
		storage_look_later(storage);
	}
	return 0;
}

static void on_send_again(void *userdata, int64_t now_ns)
{
	struct storage *storage = userdata;
	if (storage_pump(storage) < 0) {
		log_error("storage: cannot send to the process, giving up what waits");
		storage_lose_all(storage);
	}
}

/* Returns 1 and a reply; 0 if there is none yet; -errno if the process is of no more use. */
static int storage_receive(struct storage *storage, struct storage_reply *ret_reply)
{
	ssize_t n = recv(storage->socket_fd, ret_reply, sizeof(*ret_reply), MSG_DONTWAIT);
	if (n < 0) {
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	}
	if (n == 0) {
		return -EPIPE;
	}
	if (n != sizeof(*ret_reply) || storage->n_sent == 0 ||
	    ret_reply->cookie != storage->queue.head->request.cookie) {
		return -EPROTO;
	}
	return 1;
}

static void on_socket(void *userdata, int fd, uint32_t epoll_events)
{
	struct storage *storage = userdata;
	struct storage_reply reply;
	int r = storage_receive(storage, &reply);
	if (r < 0) {
		log_error("storage: the process is gone (%s), its work is done anew or given up",
			  strerror(-r));
		storage_lose_all(storage);
	}
	if (r <= 0) {
		return;
	}
	struct pending *pending = queue_pop(&storage->queue);
	storage->n_sent--;
	if (storage_pump(storage) < 0) {
		log_error("storage: cannot send to the process, starting another");
		storage_lose_all(storage);
	}
	pending_answer(pending, &reply);
}

static int storage_spawn(const struct storage *storage, int socket_fd, pid_t *ret_pid)
{
	const struct storage_reach *reach = &storage->reach;
	size_t n_fds = STORAGE_FD_FOLDERS - STORAGE_FD_SOCKET + reach->n_fds;
	CLEANUP(free_p) int *fds = calloc(n_fds, sizeof(*fds));
	char n_folders[NUMBER_SIZE];
	const char *const argv[] = {"storage", n_folders, NULL};
	struct child_spec spec = {.argv = argv, .fds = fds, .n_fds = n_fds};
	if (!fds) {
		return -ENOMEM;
	}
	fds[0] = socket_fd;
	for (size_t i = 0; i < reach->n_fds; i++) {
		fds[n_fds - reach->n_fds + i] = reach->fds[i];
	}
	snprintf(n_folders, sizeof(n_folders), "%zu", reach->n_fds);
	return child_spawn(storage->program_fd, &spec, ret_pid);
}

static int storage_connect(struct storage *storage)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		return -errno;
	}
	CLEANUP(fd_closep) int ours = pair[0];
	CLEANUP(fd_closep) int theirs = pair[1];
	CLEANUP(loop_source_freep) struct loop_source *source = NULL;
	int r = loop_add_io(storage->loop, ours, EPOLLIN, on_socket, storage, &source);
	if (r < 0) {
		return r;
	}
	pid_t pid;
	r = storage_spawn(storage, theirs, &pid);
	if (r < 0) {
		return r;
	}
	CLEANUP(fd_closep) int pid_fd = process_pidfd_open(pid);
	r = pid_fd < 0 ? pid_fd : loop_reap_child(storage->loop, pid);
	if (r < 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return r;
	}
	storage->socket_source = TAKE_PTR(source);
	storage->socket_fd = TAKE_FD(ours);
	storage->pid_fd = TAKE_FD(pid_fd);
	storage->pid = pid;
	return 0;
}

int storage_new(struct loop *loop, int program_fd, const struct storage_reach *reach,
		struct storage **ret_storage)
{
	struct storage *storage = calloc(1, sizeof(*storage));
	if (!storage) {
		return -ENOMEM;
	}
	storage->loop = loop;
	storage->program_fd = program_fd;
	storage->reach = *reach;
	storage->socket_fd = -1;
	storage->pid_fd = -1;
	queue_init(&storage->queue);
	queue_init(&storage->lost);
	int r = loop_add_timer(loop, on_lost, storage, &storage->lost_timer);
	if (r == 0) {
		r = loop_add_timer(loop, on_send_again, storage, &storage->send_timer);
	}
	if (r == 0) {
		r = loop_add_timer(loop, on_look, storage, &storage->look_timer);
	}
	if (r < 0) {
		loop_source_free(storage->lost_timer);
		loop_source_free(storage->send_timer);
		free(storage);
		return r;
	}
	*ret_storage = storage;
	return 0;
}

int storage_new_like(const struct storage *like, struct storage **ret_storage)
{
	return storage_new(like->loop, like->program_fd, &like->reach, ret_storage);
}

struct storage *storage_free(struct storage *storage)
{
	if (!storage) {
		return NULL;
	}
	storage_disconnect(storage);
	queue_append(&storage->lost, &storage->queue);
	for (struct pending *pending; (pending = queue_pop(&storage->lost));) {
		pending_free(pending);
	}
	loop_source_free(storage->lost_timer);
	loop_source_free(storage->send_timer);
	loop_source_free(storage->look_timer);
	free(storage);
	return NULL;
}

int storage_submit(struct storage *storage, const struct storage_request *request, const int *fds,
		   storage_done_fn fn, void *userdata)
{
	assert(request->n_fds <= STORAGE_MAX_FDS && request->op < STORAGE_N_OPS);
	if (storage->socket_fd < 0) {
		int r = storage_connect(storage);
		if (r < 0) {
			return r;
		}
	}
	struct pending *pending = NULL;
	int r = pending_new(request, fds, &pending);
	if (r < 0) {
		return r;
	}
	pending->request.cookie = ++storage->next_cookie;
	pending->fn = fn;
	pending->userdata = userdata;
	queue_push(&storage->queue, pending);
	r = storage_pump(storage);
	if (r < 0 && storage->queue.head != pending) {
		storage_lose_all(storage); /* others wait before it: all are answered as lost */
		return 0;
	}
	if (r < 0) {
		pending_free(queue_pop(&storage->queue));
	}
	return r;
}

static void queue_forget(struct queue *queue, const void *userdata)
{
	for (struct pending *pending = queue->head; pending; pending = pending->next) {
		if (pending->userdata == userdata) {
			pending->fn = NULL;
		}
	}
}

void storage_forget(struct storage *storage, const void *userdata)
{
	queue_forget(&storage->queue, userdata);
	queue_forget(&storage->lost, userdata);
}

int storage_request_init(struct storage_request *ret_request, enum storage_op op, const char *name,
			 const char *to_name)
{
	size_t len = name ? strlen(name) : 0;
	size_t to_len = to_name ? strlen(to_name) : 0;
	if (len >= STORAGE_NAME_MAX || to_len >= STORAGE_NAME_MAX) {
		return -ENAMETOOLONG;
	}
	*ret_request = (struct storage_request){.op = op};
	if (len > 0) {
		memcpy(ret_request->name, name, len);
	}
	if (to_len > 0) {
		memcpy(ret_request->to_name, to_name, to_len);
	}
	return 0;
}
