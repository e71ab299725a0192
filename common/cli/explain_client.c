/*
 * explain_client.c: the client's side of `mailreeve explain`. See the header.
 */
#include "common/cli/explain_client.h"

#include <stdio.h>

#include "common/cli/listing.h"

ClientView client_view_start(const ScenarioStep *story, const char *server_name, bool smtpd_delays) {
  ClientView view = {.context = {.server_name = server_name, .delay_reject = DELAY_REJECT_RCPT, .smtpd_delays = smtpd_delays}};
  for (const ScenarioStep *step = story; step && !view.first_recipient; step = step->next) {
    view.first_recipient = step->kind == STEP_RCPT ? step->text : NULL;
  }
  return view;
}

void client_view_step(ClientView *view, const ScenarioStep *step) {
  ReplyContext *context = &view->context;
  switch (step->kind) {
    case STEP_CLIENT:
      context->client_address = step->text;
      context->client_name = step->name;
      context->recipient = view->first_recipient;
      return;
    case STEP_HELO:
    case STEP_EHLO:
      context->helo_name = step->text;
      return;
    case STEP_MAIL:
      context->sender = step->text;
      context->recipient = view->first_recipient;
      return;
    case STEP_RCPT:
    case STEP_VRFY:
      context->recipient = step->text;
      return;
    case STEP_ETRN:
      context->etrn_domain = step->text;
      return;
    case STEP_DATA:
    case STEP_MESSAGE:
    case STEP_UNKNOWN:
    case STEP_RSET:
    case STEP_QUIT:
    case STEP_SET:
    case STEP_UNSET:
    case STEP_CLOCK:
      return;
  }
}

/* At connect and HELO a policy daemon that is asked at RCPT TO has not been asked yet. What it says there is shown there, if the story gets so far. */
static bool is_told(const ClientView *view, const ScenarioStep *step, Door door, const StepOutcome *outcome) {
  bool early = step->kind == STEP_CLIENT || step->kind == STEP_HELO || step->kind == STEP_EHLO;
  bool shown_later = door == DOOR_POLICY && early && view->context.smtpd_delays && !outcome->closed;
  return outcome->asked && outcome->refused && outcome->verdict && !shown_later;
}

static const char *said_at(Phase phase) {
  return phase == PHASE_CONNECT ? "the greeting" : phase_command(phase);
}

static json_t *reply_json(const SeenReply *seen) {
  return json_pack("{s:s, s:s, s:o, s:b, s:b}", "phase", phase_name(seen->phase), "at", said_at(seen->phase), "bytes",
                   listing_json_text(seen->bytes), "closes", seen->closes, "own", seen->is_own);
}

static json_t *compiled_json(Mta mta, const CompiledReply *compiled) {
  json_t *replies = json_array(), *notes = json_array();
  for (size_t i = 0; i < compiled->seen_count; i++) {
    (void)json_array_append_new(replies, reply_json(&compiled->seen[i]));
  }
  for (size_t i = 0; i < compiled->note_count; i++) {
    const ReplyNote *note = &compiled->notes[i];
    (void)json_array_append_new(
        notes, json_pack("{s:s, s:o}", "note", reply_note_name(note->kind), "sentence", listing_json_text(note->sentence)));
  }
  return json_pack("{s:s, s:o, s:o}", "mta", mta_name(mta), "replies", replies, "notes", notes);
}

json_t *client_view_json(const ClientView *view, const ScenarioStep *step, Door door, const StepOutcome *outcome) {
  json_t *clients = json_array();
  g_autoptr(Arena) arena = arena_new(0);
  for (int mta = 0; mta < MTA_COUNT; mta++) {
    if ((mta_doors((Mta)mta) & DOOR_BIT(door)) && is_told(view, step, door, outcome)) {
      CompiledReply compiled = reply_compile(arena, outcome->verdict, door, (Mta)mta, step_phase(step->kind, step->text), &view->context);
      (void)json_array_append_new(clients, compiled_json((Mta)mta, &compiled));
    }
  }
  return clients;
}

static void print_compiled(const char *title, const CompiledReply *compiled) {
  (void)printf("  %-8s %s:\n", "client", title);
  for (size_t i = 0; i < compiled->seen_count; i++) {
    const SeenReply *seen = &compiled->seen[i];
    g_auto(GStrv) lines = g_strsplit(seen->bytes, "\r\n", -1);
    for (size_t k = 0; lines[k] && lines[k][0]; k++) {
      bool last = lines[k + 1] == NULL || lines[k + 1][0] == '\0';
      (void)printf("  %-8s   %s%s%s%s\n", "", lines[k], last ? "   (at " : "", last ? said_at(seen->phase) : "",
                   !last          ? ""
                   : seen->closes ? ", and the connection is closed)"
                                  : ")");
    }
  }
  for (size_t i = 0; i < compiled->note_count; i++) {
    (void)printf("  %-8s   = %s\n", "", compiled->notes[i].sentence);
  }
}

void client_view_print(const ClientView *view, const ScenarioStep *step, Door door, const StepOutcome *outcome) {
  g_autoptr(Arena) arena = arena_new(0);
  for (int mta = 0; mta < MTA_COUNT; mta++) {
    if ((mta_doors((Mta)mta) & DOOR_BIT(door)) && is_told(view, step, door, outcome)) {
      CompiledReply compiled = reply_compile(arena, outcome->verdict, door, (Mta)mta, step_phase(step->kind, step->text), &view->context);
      print_compiled(arena_printf(arena, "%s through the %s door", mta_title((Mta)mta), door_name(door)), &compiled);
    }
  }
}
