/*
 * milter_null.c: a libmilter filter that negotiates given steps and whose callbacks return SMFIS_CONTINUE: what mailreeve-milter is held against.
 *
 * milter_null PORT STEPS: listens on inet:PORT@127.0.0.1; STEPS are the protocol flags (hexadecimal, SMFIP_*) that milter_load printed for the other filter, so that
 * both are asked the same. Ends by SIGTERM.
 */
#include <stdio.h>
#include <stdlib.h>

#include <libmilter/mfapi.h>

static unsigned long steps;

static sfsistat on_negotiate(SMFICTX *context, unsigned long actions, unsigned long offered, unsigned long unused2, unsigned long unused3,
                             unsigned long *use_actions, unsigned long *use_steps, unsigned long *use2, unsigned long *use3) {
  (void)context;
  (void)actions;
  (void)unused2;
  (void)unused3;
  *use_actions = 0;
  *use_steps = steps & offered;
  *use2 = 0;
  *use3 = 0;
  return SMFIS_CONTINUE;
}

/* A step that was negotiated to bring no reply must say so. */
static sfsistat answer(unsigned long no_reply) {
  return (steps & no_reply) != 0 ? SMFIS_NOREPLY : SMFIS_CONTINUE;
}

static sfsistat on_connect(SMFICTX *context, char *name, _SOCK_ADDR *address) {
  (void)context;
  (void)name;
  (void)address;
  return answer(SMFIP_NR_CONN);
}

static sfsistat on_helo(SMFICTX *context, char *name) {
  (void)context;
  (void)name;
  return answer(SMFIP_NR_HELO);
}

static sfsistat on_mail(SMFICTX *context, char **arguments) {
  (void)context;
  (void)arguments;
  return answer(SMFIP_NR_MAIL);
}

static sfsistat on_rcpt(SMFICTX *context, char **arguments) {
  (void)context;
  (void)arguments;
  return answer(SMFIP_NR_RCPT);
}

static sfsistat on_data(SMFICTX *context) {
  (void)context;
  return answer(SMFIP_NR_DATA);
}

static sfsistat on_header(SMFICTX *context, char *name, char *value) {
  (void)context;
  (void)name;
  (void)value;
  return answer(SMFIP_NR_HDR);
}

static sfsistat on_end_of_header(SMFICTX *context) {
  (void)context;
  return answer(SMFIP_NR_EOH);
}

static sfsistat on_body(SMFICTX *context, unsigned char *chunk, size_t length) {
  (void)context;
  (void)chunk;
  (void)length;
  return answer(SMFIP_NR_BODY);
}

static sfsistat on_unknown(SMFICTX *context, const char *command) {
  (void)context;
  (void)command;
  return answer(SMFIP_NR_UNKN);
}

static sfsistat on_end(SMFICTX *context) {
  (void)context;
  return SMFIS_CONTINUE;
}

int main(int argc, char **argv) {
  char *end = NULL;
  steps = argc == 3 ? strtoul(argv[2], &end, 16) : 0;
  if (argc != 3 || *end != '\0') {
    fprintf(stderr, "usage: milter_null PORT STEPS\n");
    return 2;
  }
  static char name[] = "milter_null";
  struct smfiDesc filter = {
      .xxfi_name = name,
      .xxfi_version = SMFI_VERSION,
      .xxfi_connect = on_connect,
      .xxfi_helo = on_helo,
      .xxfi_envfrom = on_mail,
      .xxfi_envrcpt = on_rcpt,
      .xxfi_header = on_header,
      .xxfi_eoh = on_end_of_header,
      .xxfi_body = on_body,
      .xxfi_eom = on_end,
      .xxfi_abort = on_end,
      .xxfi_close = on_end,
      .xxfi_unknown = on_unknown,
      .xxfi_data = on_data,
      .xxfi_negotiate = on_negotiate,
  };
  char socket_name[64];
  snprintf(socket_name, sizeof(socket_name), "inet:%s@127.0.0.1", argv[1]);
  if (smfi_setconn(socket_name) != MI_SUCCESS || smfi_register(filter) != MI_SUCCESS) {
    fprintf(stderr, "milter_null: libmilter does not take %s\n", socket_name);
    return 1;
  }
  return smfi_main() == MI_SUCCESS ? 0 : 1;
}
