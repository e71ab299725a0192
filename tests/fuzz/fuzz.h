/*
 * fuzz.h: what a fuzz target includes: the entry point, and (unless configured with --enable-fuzzers, where libFuzzer brings it) a main
 * function that replays a corpus.
 *
 * Files are taken from the files and folders given, without arguments from $srcdir/tests/fuzz/corpus/NAME for the program fuzz_NAME. Each
 * is run as it is and in MUTATIONS variants made from a fixed seed: flipped, cut, doubled, spliced. An empty corpus is a failure.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#ifndef FUZZERS

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <glib.h>

enum { MUTATIONS = 100 };

/* The input stands in a block of just its size, so that the address sanitizer sees a read beyond it. */
static void replay_bytes(const char *bytes, size_t size) {
  uint8_t *exact = malloc(size ? size : 1);
  g_assert(exact != NULL);
  if (size) {
    memcpy(exact, bytes, size);
  }
  (void)LLVMFuzzerTestOneInput(exact, size);
  free(exact);
}

static void replay_mutation(GRand *random, const GString *seed) {
  static const char nasty[] = "\0\n\r\t \"\\<>@[]{}:;,./#%~\x7f\x80\xff\xe3";
  g_autoptr(GString) text = g_string_new_len(seed->str, (gssize)seed->len);
  for (int changes = g_rand_int_range(random, 1, 5); changes > 0 && text->len > 0; changes--) {
    gsize at = (gsize)g_rand_int_range(random, 0, (gint32)MIN(text->len, (gsize)G_MAXINT32));
    gsize wanted = (gsize)g_rand_int_range(random, 1, 17);
    gsize length = MIN(text->len - at, wanted);
    switch (g_rand_int_range(random, 0, 6)) {
      case 0:
        text->str[at] = (char)(text->str[at] ^ 1 << g_rand_int_range(random, 0, 8));
        break;
      case 1:
        text->str[at] = nasty[g_rand_int_range(random, 0, (gint32)sizeof nasty - 1)];
        break;
      case 2:
        g_string_insert_c(text, (gssize)at, nasty[g_rand_int_range(random, 0, (gint32)sizeof nasty - 1)]);
        break;
      case 3:
        g_string_erase(text, (gssize)at, (gssize)length);
        break;
      case 4: {
        g_autofree char *piece = g_strndup(text->str + at, length);
        for (int times = g_rand_int_range(random, 1, 20); times > 0; times--) {
          g_string_insert(text, (gssize)at, piece);
        }
        break;
      }
      case 5:
        g_string_truncate(text, at);
        break;
    }
  }
  replay_bytes(text->str, text->len);
}

static unsigned replay_file(const char *path) {
  g_autofree char *bytes = NULL;
  gsize size = 0;
  g_autoptr(GError) error = NULL;
  if (!g_file_get_contents(path, &bytes, &size, &error)) {
    fprintf(stderr, "%s\n", error->message);
    exit(EXIT_FAILURE);
  }
  replay_bytes(bytes, size);
  g_autoptr(GString) seed = g_string_new_len(bytes, (gssize)size);
  GRand *random = g_rand_new_with_seed(20260101);
  for (int i = 0; i < MUTATIONS; i++) {
    replay_mutation(random, seed);
  }
  g_rand_free(random);
  return 1;
}

static unsigned replay_path(const char *path) {
  GDir *folder = g_dir_open(path, 0, NULL);
  if (!folder) {
    return replay_file(path);
  }
  unsigned count = 0;
  for (const char *name = g_dir_read_name(folder); name; name = g_dir_read_name(folder)) {
    g_autofree char *file = g_build_filename(path, name, NULL);
    count += replay_file(file);
  }
  g_dir_close(folder);
  return count;
}

int main(int argc, char **argv) {
  unsigned count = 0;
  (void)g_log_set_always_fatal(G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_WARNING);
  for (int i = 1; i < argc; i++) {
    count += replay_path(argv[i]);
  }
  if (argc < 2) {
    g_autofree char *program = g_path_get_basename(argv[0]);
    const char *name = g_str_has_prefix(program, "fuzz_") ? program + strlen("fuzz_") : program;
    const char *top = g_getenv("srcdir");
    g_autofree char *corpus = g_build_filename(top ? top : ".", "tests", "fuzz", "corpus", name, NULL);
    count += replay_path(corpus);
  }
  printf("%u inputs, each with %d mutations\n", count, MUTATIONS);
  return count > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif

#endif
