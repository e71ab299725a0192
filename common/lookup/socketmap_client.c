/*
 * socketmap_client.c: see socketmap_client.h.
 *
 * The first question brings the client onto the loop of its scheduler; from then on all but `lock` and what it guards is confined to the look-up thread. Each event ends in
 * serve(): idle connections get questions, further connections are opened, and the one timer is set to what is due next.
 *
 * A connection that answered before and ends under a question, without a byte of reply, may just have been closed as idle: then the question goes out once more, over a new one. A
 * server that cannot be reached fails all that wait, and those who come while peer.h leaves it alone.
 */
#include "common/lookup/socketmap_client.h"

#include <pthread.h>

#include "common/ask/keyset.h"
#include "common/ask/scheduler.h"
#include "common/base/limits.h"
#include "common/base/netstring.h"
#include "common/lookup/map_question.h"
#include "common/lookup/socketmap_client_reply.h"

/* A question on its way. */
typedef struct Task {
  Question *question;
  Slice texts;                   /* of the tries that were not asked yet */
  Slice parts[KEYSET_PARTS_MAX]; /* of the one that was asked last */
  uint64_t until;
  bool repeated; /* it was on a connection that ended */
} Task;

typedef enum SlotState { SLOT_FREE, SLOT_OPENING, SLOT_IDLE, SLOT_BUSY } SlotState;

/* A connection, or the place for one. */
typedef struct Slot {
  SocketmapClient *client;
  SlotState state;
  Peer *peer;
  Task *task;     /* of BUSY */
  GString *bytes; /* of the reply */
  uint64_t since; /* IDLE */
  bool has_answered;
} Slot;

struct SocketmapClient {
  gint references; /* its owner's, its questions', and one while it is on the loop */
  char *title, *map;
  PeerAddress address;
  size_t part_count;
  pthread_mutex_t lock; /* guards the next two */
  bool closed;
  Scheduler *scheduler; /* NULL: on no loop */
  /* The look-up thread's: */
  uv_loop_t *loop;
  uv_timer_t *timer; /* its memory goes when the loop has closed it */
  Slot slots[LIMIT_SOCKETMAP_CONNECTIONS];
  GQueue waiting; /* of Task, the oldest first */
};

static void serve(SocketmapClient *client);

static void client_hold(void *self) {
  g_atomic_int_inc(&((SocketmapClient *)self)->references);
}

static void client_drop(void *self) {
  SocketmapClient *client = self;
  if (g_atomic_int_dec_and_test(&client->references)) {
    (void)pthread_mutex_destroy(&client->lock);
    peer_address_clear(&client->address);
    g_free(client->map);
    g_free(client->title);
    g_free(client);
  }
}

/* ---- Answers ---- */

static Answer *failed_answer(const SocketmapClient *client, const char *reason) {
  g_autofree char *text = g_strdup_printf("%s: %s", client->title, reason);
  return answer_new_failed(text);
}

static void task_end(Task *task, Answer *answer) {
  question_answer(task->question, answer);
  question_unref(task->question);
  g_free(task);
}

static void task_fail(const SocketmapClient *client, Task *task, const char *reason) {
  task_end(task, failed_answer(client, reason));
}

static void fail_waiting(SocketmapClient *client, const char *reason) {
  Task *task;
  while ((task = g_queue_pop_head(&client->waiting))) {
    task_fail(client, task, reason);
  }
}

static Answer *answer_of(const SocketmapClient *client, const Task *task, const SocketmapReply *reply) {
  switch (reply->state) {
    case ANSWER_FOUND: {
      g_autoptr(GBytes) payload = map_question_payload(task->parts, client->part_count, reply->value);
      return answer_new(ANSWER_FOUND, payload, LIMIT_SOCKETMAP_SECONDS);
    }
    case ANSWER_NOT_FOUND: /* where the connection cannot be used for the tries that are left, it is not known */
      return task->texts.length > 0 ? failed_answer(client, "the server says more than it was asked")
                                    : answer_new(ANSWER_NOT_FOUND, NULL, LIMIT_SOCKETMAP_SECONDS);
    case ANSWER_FAILED:
      return failed_answer(client, reply->reason);
  }
  g_assert_not_reached();
}

/* ---- Connections ---- */

static size_t count_slots(const SocketmapClient *client, SlotState state) {
  size_t count = 0;
  for (size_t i = 0; i < LIMIT_SOCKETMAP_CONNECTIONS; i++) {
    count += client->slots[i].state == state;
  }
  return count;
}

static Slot *find_slot(SocketmapClient *client, SlotState state) {
  for (size_t i = 0; i < LIMIT_SOCKETMAP_CONNECTIONS; i++) {
    if (client->slots[i].state == state) {
      return &client->slots[i];
    }
  }
  return NULL;
}

static void slot_clear(Slot *slot) {
  slot->state = SLOT_FREE;
  slot->task = NULL;
  slot->has_answered = false;
  g_string_truncate(slot->bytes, 0);
}

/* We leave the server. */
static void slot_close(Slot *slot, const char *reason) {
  slot_clear(slot); /* what the peer tells of it is no news then */
  peer_drop(slot->peer, reason);
}

static void slot_rest(Slot *slot) {
  slot->state = SLOT_IDLE;
  slot->since = uv_now(slot->client->loop);
}

/* A server that ends the connection of one question may answer the next: only one that cannot be reached is left alone. */
static void on_connected(void *self) {
  Slot *slot = self;
  peer_prove(slot->peer);
  slot_rest(slot);
  serve(slot->client);
}

/* ---- Asking ---- */

/* The tries of a task, one after the other; false when there is none any more. */
static bool ask_next(Slot *slot) {
  const SocketmapClient *client = slot->client;
  Task *task = slot->task;
  if (!map_question_next(&task->texts, task->parts, client->part_count)) {
    return false;
  }
  g_autoptr(Arena) arena = arena_new(0);
  Slice text[1 + 2 * KEYSET_PARTS_MAX];
  size_t count = 0;
  text[count++] = slice_from(client->map);
  for (size_t i = 0; i < client->part_count; i++) {
    text[count++] = i == 0 ? SLICE_LITERAL(" ") : SLICE_LITERAL("\t");
    text[count++] = task->parts[i];
  }
  Slice request = netstring_make(arena, text, count);
  g_autoptr(GBytes) bytes = g_bytes_new(request.data, request.length);
  peer_send(slot->peer, bytes);
  return true;
}

static void slot_ask(Slot *slot, Task *task) {
  slot->state = SLOT_BUSY;
  slot->task = task;
  task->texts = map_question_texts(task->question);
  (void)ask_next(slot); /* there is always a first one */
}

/* A whole reply. `reusable`: the connection takes another question. */
static void take_reply(Slot *slot, const SocketmapReply *reply, bool reusable) {
  SocketmapClient *client = slot->client;
  Task *task = slot->task;
  slot->has_answered = true;
  if (reply->state == ANSWER_NOT_FOUND && reusable && task->texts.length > 0) {
    g_string_truncate(slot->bytes, 0);
    (void)ask_next(slot);
    return;
  }
  Answer *answer = answer_of(client, task, reply);
  if (reusable) {
    slot->task = NULL;
    g_string_truncate(slot->bytes, 0);
    slot_rest(slot);
  } else {
    slot_close(slot, "the server does not follow the protocol");
  }
  task_end(task, answer);
  serve(client);
}

static void on_received(void *self, Slice bytes) {
  Slot *slot = self;
  SocketmapReply reply;
  size_t used;
  if (slot->state != SLOT_BUSY) { /* said without being asked: it might be taken for the next answer */
    slot_close(slot, "the server says more than it was asked");
    serve(slot->client);
    return;
  }
  g_string_append_len(slot->bytes, bytes.data, (gssize)bytes.length);
  SocketmapReplyParse result = socketmap_reply_parse(slice_make(slot->bytes->str, slot->bytes->len), &reply, &used);
  if (result != SOCKETMAP_REPLY_MORE) {
    take_reply(slot, &reply, result == SOCKETMAP_REPLY_WHOLE && used == slot->bytes->len);
  }
}

/* The server has ended a connection that was idle, and so most likely all that were. */
static void close_idle(SocketmapClient *client) {
  for (size_t i = 0; i < LIMIT_SOCKETMAP_CONNECTIONS; i++) {
    if (client->slots[i].state == SLOT_IDLE) {
      slot_close(&client->slots[i], "the server has closed another connection");
    }
  }
}

static void on_lost(void *self, const char *reason) {
  Slot *slot = self;
  SocketmapClient *client = slot->client;
  if (slot->state == SLOT_FREE) {
    return; /* we have left it */
  }
  Task *task = slot->task;
  bool may_repeat = task && slot->has_answered && !task->repeated && slot->bytes->len == 0;
  slot_clear(slot);
  if (may_repeat) {
    task->repeated = true;
    g_queue_push_head(&client->waiting, task);
    close_idle(client);
  } else if (task) {
    task_fail(client, task, reason);
  }
  serve(client);
}

static const PeerUser peer_user = {.connected = on_connected, .received = on_received, .lost = on_lost};

/* Opens as many as questions wait. NULL, or why no further one can be opened now. */
static const char *open_connections(SocketmapClient *client) {
  const char *reason = NULL;
  Slot *slot;
  while (g_queue_get_length(&client->waiting) > count_slots(client, SLOT_OPENING) && (slot = find_slot(client, SLOT_FREE))) {
    if (!peer_connect(slot->peer, &reason)) {
      return reason;
    }
    slot->state = SLOT_OPENING;
  }
  return NULL;
}

/* ---- The round ---- */

/* When it is to be looked at; UINT64_MAX: never. Connecting has a limit of its own. */
static uint64_t slot_due(const Slot *slot) {
  switch (slot->state) {
    case SLOT_IDLE:
      return slot->since + (uint64_t)LIMIT_SOCKETMAP_IDLE_SECONDS * 1000;
    case SLOT_BUSY:
      return slot->task->until;
    case SLOT_OPENING:
    case SLOT_FREE:
      return UINT64_MAX;
  }
  g_assert_not_reached();
}

/* Closes and fails what is overdue. */
static void on_timer(uv_timer_t *timer) {
  SocketmapClient *client = timer->data;
  uint64_t now = uv_now(client->loop);
  for (size_t i = 0; i < LIMIT_SOCKETMAP_CONNECTIONS; i++) {
    Slot *slot = &client->slots[i];
    if (now >= slot_due(slot)) {
      Task *task = slot->task;
      slot_close(slot, task ? "no answer in time" : "the connection was idle");
      if (task) {
        task_fail(client, task, "no answer in time");
      }
    }
  }
  for (Task *task; (task = g_queue_peek_head(&client->waiting)) && now >= task->until;) {
    (void)g_queue_pop_head(&client->waiting);
    task_fail(client, task, "no connection was free in time");
  }
  serve(client);
}

static void set_timer(SocketmapClient *client) {
  const Task *oldest = g_queue_peek_head(&client->waiting);
  uint64_t due = oldest ? oldest->until : UINT64_MAX, now = uv_now(client->loop);
  for (size_t i = 0; i < LIMIT_SOCKETMAP_CONNECTIONS; i++) {
    due = MIN(due, slot_due(&client->slots[i]));
  }
  if (due == UINT64_MAX) {
    (void)uv_timer_stop(client->timer);
  } else {
    (void)uv_timer_start(client->timer, on_timer, due > now ? due - now : 0, 0);
  }
}

static void serve(SocketmapClient *client) {
  Slot *slot;
  while (!g_queue_is_empty(&client->waiting) && (slot = find_slot(client, SLOT_IDLE))) {
    slot_ask(slot, g_queue_pop_head(&client->waiting));
  }
  const char *reason = open_connections(client);
  if (reason && count_slots(client, SLOT_FREE) == LIMIT_SOCKETMAP_CONNECTIONS) {
    fail_waiting(client, reason); /* nobody is there to serve them */
  }
  set_timer(client);
}

/* ---- On the loop, and off it ---- */

static void join(SocketmapClient *client, Scheduler *scheduler) {
  client->loop = scheduler_loop(scheduler);
  client->timer = g_new0(uv_timer_t, 1);
  (void)uv_timer_init(client->loop, client->timer);
  client->timer->data = client;
  for (size_t i = 0; i < LIMIT_SOCKETMAP_CONNECTIONS; i++) {
    Slot *slot = &client->slots[i];
    *slot = (Slot){.client = client, .bytes = g_string_new(NULL)};
    slot->peer = peer_new(client->loop, &client->address, &peer_user, slot);
  }
}

static void free_timer(uv_handle_t *handle) {
  g_free(handle);
}

static void take_down(SocketmapClient *client, const char *reason) {
  for (size_t i = 0; i < LIMIT_SOCKETMAP_CONNECTIONS; i++) {
    Slot *slot = &client->slots[i];
    Task *task = slot->task;
    peer_free(slot->peer);
    (void)g_string_free(slot->bytes, TRUE);
    if (task) {
      task_fail(client, task, reason);
    }
  }
  fail_waiting(client, reason);
  uv_close((uv_handle_t *)client->timer, free_timer);
  client_drop(client);
}

static Scheduler *take_scheduler(SocketmapClient *client) {
  (void)pthread_mutex_lock(&client->lock);
  client->closed = true;
  Scheduler *scheduler = g_steal_pointer(&client->scheduler);
  (void)pthread_mutex_unlock(&client->lock);
  return scheduler;
}

/* The scheduler stops in front of the table. */
static void leave_with_scheduler(void *self) {
  if (take_scheduler(self)) {
    take_down(self, "stopping");
  }
}

/* The table is closed. */
static void leave_scheduler(void *self) {
  Scheduler *scheduler = take_scheduler(self);
  if (scheduler) {
    scheduler_detach(scheduler, self);
    take_down(self, "the table was closed");
  }
}

/* False: the table is closed. */
static bool be_on_loop(SocketmapClient *client, Scheduler *scheduler) {
  (void)pthread_mutex_lock(&client->lock);
  bool closed = client->closed, joins = !closed && !client->scheduler;
  g_assert(closed || joins || client->scheduler == scheduler); /* a table is asked through one scheduler */
  if (joins) {
    client->scheduler = scheduler;
  }
  (void)pthread_mutex_unlock(&client->lock);
  if (joins) {
    client_hold(client);
    join(client, scheduler);
    scheduler_attach(scheduler, leave_with_scheduler, client);
  }
  return !closed;
}

static void client_start(void *self, Question *question) {
  SocketmapClient *client = self;
  if (!be_on_loop(client, question->scheduler)) {
    question_answer(question, answer_new_failed("the table was closed"));
    return;
  }
  Task *task = g_new0(Task, 1);
  task->question = question_ref(question);
  task->until = uv_now(client->loop) + LIMIT_DEADLINE_MS;
  g_queue_push_tail(&client->waiting, task);
  serve(client);
}

const LookupBackend socketmap_client_backend = {.name = "socketmap", .start = client_start, .hold = client_hold, .drop = client_drop};

SocketmapClient *socketmap_client_new(const char *title, const PeerAddress *address, Slice map, size_t part_count) {
  SocketmapClient *client = g_new0(SocketmapClient, 1);
  client->references = 1;
  client->title = g_strdup(title);
  client->map = g_strndup(map.data, map.length);
  peer_address_copy(address, &client->address);
  client->part_count = part_count;
  (void)pthread_mutex_init(&client->lock, NULL);
  g_queue_init(&client->waiting);
  return client;
}

void socketmap_client_close(SocketmapClient *client) {
  (void)pthread_mutex_lock(&client->lock);
  client->closed = true;
  Scheduler *scheduler = client->scheduler;
  (void)pthread_mutex_unlock(&client->lock);
  if (scheduler) {
    scheduler_run_on_thread(scheduler, leave_scheduler, client);
  }
  client_drop(client);
}
