/*
 * answer_box.c: where answers wait for their owner. Thread-safe.
 *
 * notify is called without the box's lock, so that it may take locks of its own or even the answers; answer_box_close waits for a call that is under
 * way. The locks are libuv's (pthread), because the thread sanitizer does not understand GLib's.
 */
#include "common/ask/scheduler.h"

typedef struct Delivery {
  Question *question;
  Answer *answer;
} Delivery;

struct AnswerBox {
  gint references;
  AnswerBoxNotify notify;
  void *data;
  uv_mutex_t lock; /* guards all below */
  uv_cond_t changed;
  GQueue deliveries; /* of Delivery */
  bool closed;
  bool woken;
  unsigned notifying; /* calls of notify under way */
};

AnswerBox *answer_box_new(AnswerBoxNotify notify, void *data) {
  AnswerBox *box = g_new0(AnswerBox, 1);
  box->references = 1;
  box->notify = notify;
  box->data = data;
  g_queue_init(&box->deliveries);
  if (uv_mutex_init(&box->lock) != 0 || uv_cond_init(&box->changed) != 0) {
    g_error("cannot make a lock");
  }
  return box;
}

AnswerBox *answer_box_ref(AnswerBox *box) {
  g_atomic_int_inc(&box->references);
  return box;
}

static void delivery_free(void *item) {
  Delivery *delivery = item;
  question_unref(delivery->question);
  answer_unref(delivery->answer);
  g_free(delivery);
}

void answer_box_unref(AnswerBox *box) {
  if (!box || !g_atomic_int_dec_and_test(&box->references)) {
    return;
  }
  g_queue_clear_full(&box->deliveries, delivery_free);
  uv_cond_destroy(&box->changed);
  uv_mutex_destroy(&box->lock);
  g_free(box);
}

void answer_box_close(AnswerBox *box) {
  uv_mutex_lock(&box->lock);
  box->closed = true;
  g_queue_clear_full(&box->deliveries, delivery_free);
  uv_cond_broadcast(&box->changed);
  while (box->notifying > 0) {
    uv_cond_wait(&box->changed, &box->lock);
  }
  uv_mutex_unlock(&box->lock);
}

bool answer_box_is_open(AnswerBox *box) {
  uv_mutex_lock(&box->lock);
  bool open = !box->closed;
  uv_mutex_unlock(&box->lock);
  return open;
}

bool answer_box_take(AnswerBox *box, Question **question, Answer **answer) {
  uv_mutex_lock(&box->lock);
  Delivery *delivery = g_queue_pop_head(&box->deliveries);
  uv_mutex_unlock(&box->lock);
  if (!delivery) {
    return false;
  }
  *question = delivery->question;
  *answer = delivery->answer;
  g_free(delivery);
  return true;
}

bool answer_box_wait(AnswerBox *box, gint64 until) {
  uv_mutex_lock(&box->lock);
  while (box->deliveries.length == 0 && !box->woken && !box->closed) {
    gint64 left = until - g_get_monotonic_time();
    if (left <= 0) {
      break;
    }
    /* A year at once is enough: the sum must not overflow inside. */
    left = MIN(left, G_GINT64_CONSTANT(365) * 24 * 3600 * G_USEC_PER_SEC);
    (void)uv_cond_timedwait(&box->changed, &box->lock, (uint64_t)left * 1000);
  }
  box->woken = false;
  bool filled = box->deliveries.length > 0;
  uv_mutex_unlock(&box->lock);
  return filled;
}

void answer_box_wake(AnswerBox *box) {
  uv_mutex_lock(&box->lock);
  box->woken = true;
  uv_cond_broadcast(&box->changed);
  uv_mutex_unlock(&box->lock);
}

void answer_box_put(AnswerBox *box, Question *question, Answer *answer) {
  uv_mutex_lock(&box->lock);
  if (box->closed) {
    uv_mutex_unlock(&box->lock);
    return;
  }
  Delivery *delivery = g_new(Delivery, 1);
  *delivery = (Delivery){question_ref(question), answer_ref(answer)};
  g_queue_push_tail(&box->deliveries, delivery);
  bool tell = box->notify && box->deliveries.length == 1;
  if (tell) {
    box->notifying++;
  }
  uv_cond_broadcast(&box->changed);
  uv_mutex_unlock(&box->lock);
  if (!tell) {
    return;
  }
  box->notify(box->data);
  uv_mutex_lock(&box->lock);
  box->notifying--;
  uv_cond_broadcast(&box->changed);
  uv_mutex_unlock(&box->lock);
}
