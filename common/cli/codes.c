/*
 * codes.c: `mailreeve codes`: the documented reply codes and the registered enhanced codes, from reply.def and enhanced.def.
 */
#include <stdio.h>

#include "common/cli/command.h"
#include "common/cli/listing.h"
#include "common/smtp/reply.h"

extern const Command command_codes;

static const char *sender_words(ReplySender sender) {
  switch (sender) {
    case REPLY_BY_MTA:
      return "the mail server only";
    case REPLY_BY_POLICY:
      return "rules";
  }
  g_assert_not_reached();
}

static const char *source_words(const char *source) {
  return strcmp(source, "table") == 0 ? "RFC 5321" : source;
}

static void print_reply(const ReplyInfo *info) {
  (void)printf("%u  %s\n", info->code, info->meaning);
  listing_field("sent by", sender_words(info->sender));
  listing_field("answers", info->commands);
  listing_field_phases("phases", info->legal, NULL);
  listing_field("source", source_words(info->source));
}

static void print_enhanced(const EnhancedInfo *info) {
  (void)printf("X.%u.%u  %s\n", info->subject, info->detail, info->meaning);
  listing_field("with", info->codes);
  listing_field("source", info->source);
}

static json_t *reply_json(const ReplyInfo *info) {
  return json_pack("{s:i, s:s, s:s, s:s, s:s, s:o}", "code", (int)info->code, "meaning", info->meaning, "source",
                   source_words(info->source), "sender", info->sender == REPLY_BY_POLICY ? "policy" : "mta", "commands", info->commands,
                   "phases", listing_json_phases(info->legal));
}

static json_t *enhanced_json(const EnhancedInfo *info) {
  g_autofree char *code = g_strdup_printf("X.%u.%u", info->subject, info->detail);
  return json_pack("{s:s, s:s, s:s, s:s}", "code", code, "meaning", info->meaning, "with", info->codes, "source", info->source);
}

static int print_json(void) {
  json_t *replies = json_array();
  for (size_t i = 0; i < reply_info_count(); i++) {
    (void)json_array_append_new(replies, reply_json(reply_info_at(i)));
  }
  json_t *enhanced = json_array();
  for (size_t i = 0; i < enhanced_info_count(); i++) {
    (void)json_array_append_new(enhanced, enhanced_json(enhanced_info_at(i)));
  }
  return listing_json_print(json_pack("{s:o, s:o}", "replies", replies, "enhanced", enhanced));
}

/* One code ("550" or "5.7.1"), with what the registry pairs it with. */
static int print_one(const char *text) {
  int64_t code;
  EnhancedCode enhanced;
  if (slice_to_int(slice_from(text), &code) && code >= 0 && code <= UINT16_MAX && reply_info((uint16_t)code)) {
    print_reply(reply_info((uint16_t)code));
    for (size_t i = 0; i < enhanced_info_count(); i++) {
      const EnhancedInfo *info = enhanced_info_at(i);
      if (info->codes[0] != '\0' && enhanced_pairs_with((EnhancedCode){5, info->subject, info->detail}, (uint16_t)code)) {
        (void)printf("    with      X.%u.%u  %s\n", info->subject, info->detail, info->meaning);
      }
    }
    return EXIT_GOOD;
  }
  if (enhanced_parse(slice_from(text), &enhanced) && enhanced_info(enhanced)) {
    print_enhanced(enhanced_info(enhanced));
    return EXIT_GOOD;
  }
  return command_usage_error(&command_codes, "there is no code %s in the tables", text);
}

static int run(int argc, char **argv) {
  g_autoptr(CommandLine) line = command_line_parse(&command_codes, argc, argv);
  if (line == NULL) {
    return EXIT_USAGE;
  }
  size_t count = command_line_operand_count(line);
  if (command_line_has(line, "--json")) {
    return count == 0 ? print_json() : command_usage_error(&command_codes, "--json prints all codes");
  }
  for (size_t i = 0; i < count; i++) {
    int code = print_one(command_line_operand(line, i));
    if (code != EXIT_GOOD) {
      return code;
    }
  }
  for (size_t i = 0; count == 0 && i < reply_info_count(); i++) {
    print_reply(reply_info_at(i));
  }
  for (size_t i = 0; count == 0 && i < enhanced_info_count(); i++) {
    print_enhanced(enhanced_info_at(i));
  }
  return EXIT_GOOD;
}

static const CommandOption options[] = {{"--json", NULL, "print JSON"}, {0}};

const Command command_codes = {
    .name = "codes",
    .synopsis = "[--json] [CODE ...]",
    .sentence = "lists reply codes and enhanced status codes",
    .description =
        "Each reply code with its meaning, who sends it, the commands that the standards list it for and the phases that stand for them; "
        "each enhanced status code with the reply codes that are registered with it. A code alone, 550 or 5.7.1, prints that one.",
    .options = options,
    .run = run,
};
