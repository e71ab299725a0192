/*
 * redis_client.c: see redis_client.h. hiredis writes and reads the protocol; the connection is a Peer's, and all of it is confined to the look-up thread, but for what the lock guards.
 *
 * An answer may bring the end of its table, inside question_answer: each callback of the loop holds a reference, and looks whether the peer is still there when it has answered.
 */
#include "common/lookup/redis_client.h"

#include <hiredis/hiredis.h>
#include <pthread.h>

#include "common/ask/scheduler.h"
#include "common/base/limits.h"
#include "common/lookup/map_question.h"

static const char closed_reason[] = "the table was closed";

typedef struct Request {
  Question *question;
  size_t wanted, read; /* replies */
  Answer *answer;      /* decided by those that were read; NULL: not yet */
  uint64_t until;      /* the loop's time, ms */
  bool again;          /* it was asked on a connection that broke */
} Request;

struct RedisClient {
  gint references;
  RedisSpec spec;
  KeysetShape shape;
  pthread_mutex_t lock; /* guards what follows */
  char *password;       /* NULL: none. It never leaves this file but in AUTH */
  Scheduler *scheduler; /* whose loop it is on; NULL: on none yet */
  bool closed;
  /* The look-up thread's: */
  Peer *peer; /* NULL: on no loop */
  uv_timer_t *timer;
  redisReader *reader;   /* of this connection */
  size_t greeting;       /* replies that are to come before questions go out */
  bool ready;            /* questions go out at once */
  bool silent;           /* the connection is left because nothing comes */
  GQueue waiting, asked; /* of Request, the oldest first */
};

static void client_hold(void *self) {
  g_atomic_int_inc(&((RedisClient *)self)->references);
}

static void client_drop(void *self) {
  RedisClient *client = self;
  if (g_atomic_int_dec_and_test(&client->references)) {
    redis_spec_clear(&client->spec);
    (void)pthread_mutex_destroy(&client->lock);
    g_free(client->password);
    g_free(client);
  }
}

/* ---- requests ---- */

static Request *request_new(const RedisClient *client, Question *question) {
  Slice texts = map_question_texts(question), parts[KEYSET_PARTS_MAX];
  Request *request = g_new0(Request, 1);
  request->question = question_ref(question);
  request->until = uv_now(scheduler_loop(client->scheduler)) + LIMIT_REDIS_ANSWER_MS;
  while (map_question_next(&texts, parts, client->shape.part_count)) {
    request->wanted++;
  }
  return request;
}

/* Takes over both. */
static void request_end(Request *request, Answer *answer) {
  question_answer(request->question, answer);
  question_unref(request->question);
  g_free(request);
}

/* Those in the queue get what they have been decided to be already, else this failure. */
static void fail_each(GQueue *requests, const char *reason) {
  Request *request;
  while ((request = g_queue_pop_head(requests))) {
    request_end(request, request->answer ? request->answer : answer_new_failed(reason));
  }
}

static void move_all(GQueue *from, GQueue *to) {
  void *item;
  while ((item = g_queue_pop_head(from))) {
    g_queue_push_tail(to, item);
  }
}

static void on_timer(uv_timer_t *timer);

static void watch(RedisClient *client, const Request *oldest) {
  if (!uv_is_active((uv_handle_t *)client->timer)) {
    uint64_t now = uv_now(scheduler_loop(client->scheduler));
    (void)uv_timer_start(client->timer, on_timer, oldest->until > now ? oldest->until - now : 0, 0);
  }
}

static void send_text(RedisClient *client, GString *text) {
  g_autoptr(GBytes) bytes = g_string_free_to_bytes(text);
  peer_send(client->peer, bytes);
}

static void send_request(RedisClient *client, Request *request) {
  Slice texts = map_question_texts(request->question), parts[KEYSET_PARTS_MAX];
  GString *text = g_string_new(NULL);
  while (map_question_next(&texts, parts, client->shape.part_count)) {
    redis_spec_append(&client->spec, parts, text);
  }
  g_queue_push_tail(&client->asked, request);
  send_text(client, text);
}

static void send_waiting(RedisClient *client) {
  Request *request;
  while ((request = g_queue_pop_head(&client->waiting))) {
    send_request(client, request);
  }
}

static Request *oldest_request(RedisClient *client) {
  Request *asked = g_queue_peek_head(&client->asked), *waiting = g_queue_peek_head(&client->waiting);
  return !asked || (waiting && waiting->until < asked->until) ? waiting : asked;
}

static void on_timer(uv_timer_t *timer) {
  RedisClient *client = timer->data;
  const Request *oldest = oldest_request(client);
  if (oldest && oldest->until > uv_now(timer->loop)) {
    watch(client, oldest);
  } else if (oldest) {
    g_autofree char *reason = g_strdup_printf("no answer within %d s", (int)LIMIT_REDIS_ANSWER_MS / 1000);
    client->silent = true;
    peer_drop(client->peer, reason);
  }
}

/* ---- replies ---- */

/* What a server says, for the log: one line of what can be printed. Transfer full. */
static char *readable(const redisReply *reply) {
  size_t length = MIN(reply->len, (size_t)LIMIT_QUOTE);
  char *text = g_strndup(reply->str, length);
  for (size_t i = 0; i < length; i++) {
    if (!g_ascii_isprint(text[i])) {
      text[i] = '?';
    }
  }
  return text;
}

/* The server's word for what is wrong, without the sentence behind it: that of a refused AUTH may hold what was sent. Transfer full. */
static char *error_word(const redisReply *reply) {
  g_autofree char *text = readable(reply);
  return g_strndup(text, strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"));
}

static bool is_no_auth(const redisReply *reply) {
  return reply->type == REDIS_REPLY_ERROR && g_str_has_prefix(reply->str, "NOAUTH");
}

/* NULL: it is not there. Transfer full. */
static Answer *answer_of(const RedisClient *client, const redisReply *reply, const Slice *parts) {
  RedisReplyForm form = client->spec.command->form;
  bool is_text = reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS;
  if (reply->type == REDIS_REPLY_ERROR) {
    g_autofree char *text = readable(reply);
    return answer_new_failed(text);
  }
  if (form == REDIS_REPLY_IS_VALUE ? reply->type == REDIS_REPLY_NIL : reply->type == REDIS_REPLY_INTEGER && reply->integer == 0) {
    return NULL;
  }
  if (form == REDIS_REPLY_IS_VALUE ? !is_text : reply->type != REDIS_REPLY_INTEGER) {
    return answer_new_failed("the reply is none to the command");
  }
  g_autoptr(GBytes) payload =
      map_question_payload(parts, client->shape.part_count, is_text ? slice_make(reply->str, reply->len) : SLICE_EMPTY);
  return answer_new(ANSWER_FOUND, payload, LIMIT_REDIS_SECONDS);
}

/* The texts that the next reply to a request is about. */
static void texts_of_reply(const RedisClient *client, const Request *request, Slice *parts) {
  Slice texts = map_question_texts(request->question);
  for (size_t i = 0; i <= request->read; i++) {
    bool found = map_question_next(&texts, parts, client->shape.part_count);
    g_assert(found);
  }
}

static void read_reply(RedisClient *client, const redisReply *reply) {
  Request *request = g_queue_peek_head(&client->asked);
  if (!request) {
    g_autofree char *text = reply->type == REDIS_REPLY_ERROR ? readable(reply) : g_strdup("a reply to no question");
    peer_drop(client->peer, text);
    return;
  }
  bool refused = is_no_auth(reply);
  if (!refused) {
    peer_prove(client->peer);
  }
  if (!request->answer) {
    Slice parts[KEYSET_PARTS_MAX];
    texts_of_reply(client, request, parts);
    request->answer = answer_of(client, reply, parts);
  }
  if (++request->read == request->wanted || refused) {
    (void)g_queue_pop_head(&client->asked);
    request_end(request, request->answer ? request->answer : answer_new(ANSWER_NOT_FOUND, NULL, LIMIT_REDIS_SECONDS));
  }
  if (refused && client->peer) {
    peer_drop(client->peer, "NOAUTH"); /* the next connection may have another password */
  }
}

static void read_greeting(RedisClient *client, const redisReply *reply) {
  bool is_select = client->greeting == 1 && client->spec.database != 0;
  if (reply->type == REDIS_REPLY_ERROR) {
    g_autofree char *word = error_word(reply);
    g_autofree char *reason = g_strdup_printf("the server refuses %s: %s", is_select ? "the database" : "the password", word);
    peer_drop(client->peer, reason);
    return;
  }
  client->greeting--;
  client->ready = client->greeting == 0;
  if (client->ready) {
    peer_prove(client->peer);
    send_waiting(client);
  }
}

/* The next whole reply, or NULL. False: what comes is no reply to what we ask. */
static bool next_reply(redisReader *reader, redisReply **reply) {
  void *read = NULL;
  bool at_start = reader->ridx == -1 && reader->pos < reader->len;
  *reply = NULL;
  if (at_start && !strchr("+-:$", reader->buf[reader->pos])) {
    return false; /* no command of ours has an array for an answer */
  }
  if (redisReaderGetReply(reader, &read) != REDIS_OK) {
    return false;
  }
  *reply = read;
  return *reply != NULL || reader->len - reader->pos <= LIMIT_REDIS_REPLY;
}

static void received(void *self, Slice bytes) {
  RedisClient *client = self;
  redisReader *reader = client->reader;
  redisReply *reply;
  client_hold(client);
  bool good = redisReaderFeed(reader, bytes.data, bytes.length) == REDIS_OK;
  while (good && (good = next_reply(reader, &reply)) && reply) {
    if (client->ready) {
      read_reply(client, reply);
    } else {
      read_greeting(client, reply);
    }
    freeReplyObject(reply);
    if (client->reader != reader) {
      break; /* another connection, or none: the reader is gone */
    }
  }
  if (!good) {
    peer_drop(client->peer,
              reader->err ? "the server does not speak the protocol of Redis" : "the reply is too long or none to the command");
  }
  client_drop(client);
}

/* ---- connections ---- */

/* False: there is no password to be sent. */
static bool append_auth(RedisClient *client, GString *text) {
  Slice words[3] = {SLICE_LITERAL("AUTH")};
  size_t count = 1;
  (void)pthread_mutex_lock(&client->lock);
  bool wanted = client->password != NULL;
  if (wanted) {
    if (client->spec.user) {
      words[count++] = slice_from(client->spec.user);
    }
    words[count++] = slice_from(client->password);
    redis_append_command(text, words, count);
  }
  (void)pthread_mutex_unlock(&client->lock);
  return wanted;
}

static bool append_select(const RedisClient *client, GString *text) {
  if (client->spec.database) {
    g_autofree char *number = g_strdup_printf("%d", (int)client->spec.database);
    Slice words[2] = {SLICE_LITERAL("SELECT"), slice_from(number)};
    redis_append_command(text, words, 2);
  }
  return client->spec.database != 0;
}

static void connected(void *self) {
  RedisClient *client = self;
  GString *text = g_string_new(NULL);
  client->greeting = append_auth(client, text);
  client->greeting += append_select(client, text);
  client->reader = redisReaderCreate();
  if (!client->reader) {
    g_error("out of memory");
  }
  client->ready = client->greeting == 0;
  if (client->ready) {
    (void)g_string_free(text, TRUE);
    send_waiting(client);
  } else {
    send_text(client, text);
  }
}

static void forget_connection(RedisClient *client) {
  if (client->reader) {
    redisReaderFree(client->reader);
    client->reader = NULL;
  }
  client->ready = false;
  client->greeting = 0;
}

/* What was asked goes in front of what waits, but for what has been asked twice or is decided. */
static void ask_again(RedisClient *client, GQueue *failed) {
  GQueue again = G_QUEUE_INIT;
  Request *request;
  while ((request = g_queue_pop_head(&client->asked))) {
    if (request->again || request->answer) {
      g_queue_push_tail(failed, request);
      continue;
    }
    request->again = true;
    request->read = 0;
    g_queue_push_tail(&again, request);
  }
  move_all(&client->waiting, &again);
  move_all(&again, &client->waiting);
}

static void lost(void *self, const char *reason) {
  RedisClient *client = self;
  g_autofree char *told = g_strdup(reason);
  GQueue failed = G_QUEUE_INIT;
  const char *why;
  client_hold(client);
  bool was_ready = client->ready && !client->silent;
  client->silent = false;
  forget_connection(client);
  if (was_ready) {
    ask_again(client, &failed);
  } else {
    move_all(&client->asked, &failed);
    move_all(&client->waiting, &failed);
  }
  if (!g_queue_is_empty(&client->waiting) && !peer_connect(client->peer, &why)) {
    move_all(&client->waiting, &failed);
  }
  fail_each(&failed, told);
  client_drop(client);
}

static const PeerUser peer_user = {connected, received, lost};

/* ---- the backend ---- */

static void free_handle(uv_handle_t *handle) {
  g_free(handle);
}

static void take_down(RedisClient *client) {
  GQueue failed = G_QUEUE_INIT;
  if (!client->peer) {
    return;
  }
  g_clear_pointer(&client->peer, peer_free);
  forget_connection(client);
  uv_close((uv_handle_t *)client->timer, free_handle);
  client->timer = NULL;
  move_all(&client->asked, &failed);
  move_all(&client->waiting, &failed);
  fail_each(&failed, closed_reason);
}

static Scheduler *take_scheduler(RedisClient *client) {
  (void)pthread_mutex_lock(&client->lock);
  client->closed = true;
  Scheduler *scheduler = g_steal_pointer(&client->scheduler);
  (void)pthread_mutex_unlock(&client->lock);
  return scheduler;
}

/* The scheduler stops in front of the table. */
static void leave_with_scheduler(void *self) {
  if (take_scheduler(self)) {
    take_down(self);
  }
}

/* The table is closed. */
static void leave_scheduler(void *self) {
  Scheduler *scheduler = take_scheduler(self);
  if (scheduler) {
    scheduler_detach(scheduler, self);
    take_down(self);
  }
}

static bool enter(RedisClient *client, Question *question) {
  (void)pthread_mutex_lock(&client->lock);
  bool closed = client->closed;
  if (!closed) {
    g_assert(client->scheduler == NULL || client->scheduler == question->scheduler);
    client->scheduler = question->scheduler;
  }
  (void)pthread_mutex_unlock(&client->lock);
  if (!closed && !client->peer) {
    uv_loop_t *loop = scheduler_loop(client->scheduler);
    client->peer = peer_new(loop, &client->spec.server, &peer_user, client);
    client->timer = g_new0(uv_timer_t, 1);
    (void)uv_timer_init(loop, client->timer);
    client->timer->data = client;
    scheduler_attach(client->scheduler, leave_with_scheduler, client);
  }
  return !closed;
}

static void start(void *self, Question *question) {
  RedisClient *client = self;
  const char *reason;
  if (!enter(client, question)) {
    question_answer(question, answer_new_failed(closed_reason));
    return;
  }
  Request *request = request_new(client, question);
  if (request->wanted == 0) {
    request_end(request, answer_new(ANSWER_NOT_FOUND, NULL, LIMIT_REDIS_SECONDS)); /* a key without a text is nowhere */
    return;
  }
  if (client->ready) {
    send_request(client, request);
  } else if (peer_connect(client->peer, &reason)) {
    g_queue_push_tail(&client->waiting, request);
  } else {
    request_end(request, answer_new_failed(reason));
    return;
  }
  watch(client, request);
}

const LookupBackend redis_client_backend = {.name = "redis", .start = start, .hold = client_hold, .drop = client_drop};

RedisClient *redis_client_new(RedisSpec *spec, const KeysetShape *shape, const char *password) {
  RedisClient *client = g_new0(RedisClient, 1);
  client->references = 1;
  client->spec = *spec;
  *spec = (RedisSpec){0};
  client->shape = *shape;
  client->password = g_strdup(password);
  (void)pthread_mutex_init(&client->lock, NULL);
  g_queue_init(&client->waiting);
  g_queue_init(&client->asked);
  return client;
}

void redis_client_set_password(RedisClient *client, const char *password) {
  (void)pthread_mutex_lock(&client->lock);
  g_free(client->password);
  client->password = g_strdup(password);
  (void)pthread_mutex_unlock(&client->lock);
}

void redis_client_close(RedisClient *client) {
  (void)pthread_mutex_lock(&client->lock);
  client->closed = true;
  Scheduler *scheduler = client->scheduler;
  (void)pthread_mutex_unlock(&client->lock);
  if (scheduler) {
    scheduler_run_on_thread(scheduler, leave_scheduler, client);
  }
  client_drop(client);
}

/* ---- the probe ---- */

/* Writes a command and waits for its reply: NULL, or what is wrong with it (transfer full). `word_only`: as error_word. */
static char *exchange(redisContext *context, const GString *command, bool word_only) {
  void *read = NULL;
  if (redisAppendFormattedCommand(context, command->str, command->len) != REDIS_OK || redisGetReply(context, &read) != REDIS_OK) {
    return g_strdup(context->err == REDIS_ERR_IO ? g_strerror(errno) : context->errstr);
  }
  redisReply *reply = read;
  char *problem = reply->type != REDIS_REPLY_ERROR ? NULL : word_only ? error_word(reply) : readable(reply);
  freeReplyObject(reply);
  return problem;
}

static struct timeval milliseconds(int count) {
  return (struct timeval){.tv_sec = count / 1000, .tv_usec = (suseconds_t)(count % 1000) * 1000};
}

/* The question is the table's own, with nothing in the place of the key: what the server says to it, it says to others. */
static char *ask_once(RedisClient *client, redisContext *context) {
  static const Slice nothing[KEYSET_PARTS_MAX];
  g_autoptr(GString) auth = g_string_new(NULL);
  g_autoptr(GString) select = g_string_new(NULL);
  g_autoptr(GString) question = g_string_new(NULL);
  char *problem = NULL;
  if (append_auth(client, auth) && (problem = exchange(context, auth, true))) {
    return problem;
  }
  if (append_select(client, select) && (problem = exchange(context, select, false))) {
    return problem;
  }
  redis_spec_append(&client->spec, nothing, question);
  return exchange(context, question, false);
}

char *redis_client_probe(RedisClient *client) {
  const PeerAddress *server = &client->spec.server;
  struct timeval timeout = milliseconds(LIMIT_REDIS_PROBE_MS);
  redisContext *context =
      server->path ? redisConnectUnixWithTimeout(server->path, timeout) : redisConnectWithTimeout(server->host, server->port, timeout);
  if (!context) {
    g_error("out of memory");
  }
  char *problem = context->err ? g_strdup(context->errstr) : NULL;
  if (!problem && redisSetTimeout(context, timeout) != REDIS_OK) {
    problem = g_strdup(context->errstr);
  }
  if (!problem) {
    problem = ask_once(client, context);
  }
  redisFree(context);
  return problem;
}
