/*
 * literal_automaton.h: finds literals of any length, however alike they are, in one pass over the text, byte by byte (Aho-Corasick). Inside
 * literal_matcher.c only. Made once, then immutable: thread-safe.
 */
#ifndef COMMON_RULES_LITERAL_AUTOMATON_H
#define COMMON_RULES_LITERAL_AUTOMATON_H

#include "common/rules/literal_matcher.h"

typedef struct LiteralAutomaton LiteralAutomaton;

/* As literal_matcher_new and literal_matcher_scan. */
const LiteralAutomaton *literal_automaton_new(Arena *arena, const LiteralEntry *entries, size_t count);
void literal_automaton_scan(const LiteralAutomaton *automaton, Slice text, LiteralHit hit, void *data);

#endif
