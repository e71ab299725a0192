/*
 * test_milter_session.c: the milter door's state machine, as stories.
 */
#include "common/base/limits.h"
#include "tests/unit/milter_story.h"

#define START "connect 192.0.2.1 mail.example.org\nhelo mail.example.org\n"

static const Story stories[] = {
    {.name = "nothing to say",
     .rules = "at rcpt { [never] reject if recipient == \"x@y.test\" }",
     .steps = START "mail <a@b.test>\nrcpt <c@d.test>\ndata\neom\nclose"},
    {.name = "a reject is the recipient's, a second message too",
     .rules = "at rcpt { [bob] reject 550 5.1.1 \"no {recipient.localpart}\" if recipient == \"bob@d.test\" }",
     .steps = START "mail <a@b.test>\nrcpt <c@d.test>\nrcpt <bob@d.test> => reject 550 5.1.1 \"no bob\" [bob]\nrcpt <e@d.test>\ndata\neom\n"
                    "mail <>\nrcpt <Bob@D.test> => reject 550 5.1.1 \"no Bob\" [bob]\nrcpt <c@d.test>\ndata\neom"},
    {.name = "a connect refusal is held: each recipient of two messages",
     .rules = "at connect { [net] reject 550 5.7.1 \"not {client_address}\" if client_address in 192.0.2.0/24 }",
     .steps = START "mail <a@b.test>\n"
                    "rcpt <c@d.test> => reject 550 5.7.1 \"not 192.0.2.1\" [net]\n"
                    "rcpt <e@d.test> => reject 550 5.7.1 \"not 192.0.2.1\" [net]\n"
                    "abort\nmail <f@b.test>\nrcpt <c@d.test> => reject 550 5.7.1 \"not 192.0.2.1\" [net]\nclose"},
    {.name = "the recipients that were accepted, of each message",
     .rules = "at rcpt { [no] reject 550 5.1.1 \"no\" if recipient.localpart == \"no\" }\n"
              "at data { [all] reject 554 5.7.1 \"{recipients}\" if all recipients has (recipient.domain == \"d.test\") }\n"
              "at eom { [two] reject 554 5.7.1 \"{recipients}\" if count recipients == 2 and \"e@f.test\" in recipients }",
     .steps = START "mail <a@b.test>\nrcpt <C@D.test>\nrcpt <no@f.test> => reject 550 5.1.1 \"no\" [no]\nrcpt <c@d.test>\n"
                    "data => reject 554 5.7.1 \"C@d.test, c@d.test\" [all]\nabort\n"
                    "mail <a@b.test>\nrcpt <x@d.test>\nrcpt <e@f.test>\ndata\neom => reject 554 5.7.1 \"x@d.test, e@f.test\" [two]\n"
                    "mail <a@b.test>\nrcpt <e@f.test>\ndata\neom\nclose"},
    {.name = "a recipient that is no address: nobody knows all of them",
     .rules = "at data { [all] reject 554 5.7.1 \"{recipients}\" if count recipients > 1 }",
     .steps =
         START "mail <a@b.test>\nrcpt <c@d.test>\nrcpt <@:@>\ndata => tempfail 451 4.3.0 \"temporary failure: try again later\" [all]"},
    {.name = "postmaster is spared, and his message goes on",
     .rules = "at connect { [net] reject \"no\" }\nat rcpt { [pm] accept recipient if recipient.localpart == \"postmaster\" }\n"
              "at eom { [size] reject 552 5.3.4 \"big\" if recipient_count > 1 }",
     .steps = START "mail <a@b.test>\n"
                    "rcpt <c@d.test> => reject 550 5.7.1 \"no\" [net]\nrcpt <postmaster@d.test> => continue [pm]\nrcpt <c@d.test> => "
                    "reject 550 5.7.1 \"no\" [net]\n"
                    "data\neom\n"
                    "mail <a@b.test>\nrcpt <postmaster@d.test> => continue [pm]\nrcpt <postmaster@e.test> => continue [pm]\ndata\n"
                    "eom => reject 552 5.3.4 \"big\" [size]"},
    {.name = "nobody is spared by a rule that needs a look-up first",
     .rules =
         "dnslist zen of ip \"zen.test\"\nat connect { [net] reject \"no\" }\n"
         "at rcpt { [zen] reject \"listed\" if client_address in zen\n [pm] accept recipient if recipient.localpart == \"postmaster\" }",
     .steps = START "mail <a@b.test>\nrcpt <postmaster@d.test> => reject 550 5.7.1 \"no\" [net]"},
    {.name = "nobody is spared when mail speaks too",
     .rules = "at connect { [net] reject \"no\" }\nat mail { [bad] reject \"bad\" if sender == \"bad@b.test\"\n [vip] accept message if "
              "sender == \"vip@b.test\" }\n"
              "at rcpt { [pm] accept recipient }",
     .steps = START "mail <bad@b.test>\nrcpt <postmaster@d.test> => reject 550 5.7.1 \"no\" [net]\n"
                    "mail <vip@b.test>\nrcpt <postmaster@d.test> => reject 550 5.7.1 \"no\" [net]\n"
                    "mail <a@b.test>\nrcpt <postmaster@d.test> => continue [pm]"},
    {.name = "nobody is spared when helo accepts the session behind a refusal of connect",
     .rules = "at connect { [net] reject \"no\" }\nat helo { [me] accept session if helo_name == \"me.test\" }\nat rcpt { [pm] accept "
              "recipient }",
     .steps = "connect 192.0.2.1 x\nhelo me.test\nmail <a@b.test>\nrcpt <p@d.test> => reject 550 5.7.1 \"no\" [net]\n"
              "helo other.test\nmail <a@b.test>\nrcpt <p@d.test> => continue [pm]"},
    {.name = "connect's refusal comes before helo's",
     .rules =
         "at connect { [net] reject 550 5.7.1 \"net\" if client_address in 192.0.2.0/24 }\nat helo { [name] reject 550 5.5.2 \"name\" }",
     .steps = START "mail <a@b.test>\nrcpt <c@d.test> => reject 550 5.7.1 \"net\" [net]\n"
                    "connect 198.51.100.1 x\nhelo y\nmail <a@b.test>\nrcpt <c@d.test> => reject 550 5.5.2 \"name\" [name]"},
    {.name = "a second helo's verdict is the one that counts, and its score",
     .rules = "at helo { [lit] reject 550 5.5.2 \"no literals\" if helo_name ~ /^\\[/\n [one] score 3 if helo_name == \"one\" }\n"
              "at rcpt { [high] reject \"high\" if score > 4\n [two] score 2\n [now] tempfail \"now\" if score > 4 }",
     .steps =
         "connect 192.0.2.1 x\nhelo [192.0.2.1]\nmail <a@b.test>\nrcpt <c@d.test> => reject 550 5.5.2 \"no literals\" [lit]\n"
         "helo fine\nmail <a@b.test>\nrcpt <c@d.test>\nhelo one\nmail <a@b.test>\nrcpt <c@d.test> => tempfail 450 4.7.1 \"now\" [now]\n"
         "helo fine\nmail <a@b.test>\nrcpt <c@d.test>"},
    {.name = "delay_reject = no says connect at once, mail at MAIL",
     .rules = "at connect { [net] reject \"no\" }",
     .delay_reject = "no",
     .steps = "connect 192.0.2.1 x => reject 550 5.7.1 \"no\" [net]\nhelo x => reject 550 5.7.1 \"no\" [net]\nmail <a@b.test> => reject "
              "550 5.7.1 \"no\" [net]"},
    {.name = "delay_reject = mail",
     .rules = "at connect { [net] tempfail 451 4.7.1 \"later\" }\nat rcpt { accept recipient }",
     .delay_reject = "mail",
     .steps = START "mail <a@b.test> => tempfail 451 4.7.1 \"later\" [net]\nrcpt <c@d.test> => tempfail 451 4.7.1 \"later\" [net]\nclose"},
    {.name = "a held refusal that was never said is told at the end",
     .rules = "at connect { [net] reject \"no\" }",
     .steps = START "close => reject 550 5.7.1 \"no\" [net]"},
    {.name = "disconnect is said at once, and again",
     .rules = "at helo { [out] disconnect \"one\" \"two\" if helo_name == \"out\"\n [gone] disconnect 521 5.7.1 \"gone\" if helo_name == "
              "\"gone\" }",
     .steps =
         "connect 192.0.2.1 x\nhelo out => tempfail 421 4.7.0 \"one\" \"two\" [out]\nmail <a@b.test> => tempfail 421 4.7.0 \"one\" \"two\" "
         "[out]\n"
         "rcpt <c@d.test> => tempfail 421 4.7.0 \"one\" \"two\" [out]\nunknown FOO => tempfail 421 4.7.0 \"one\" \"two\" [out]\nclose\n"
         "connect 192.0.2.1 x\nhelo gone => reject 521 5.7.1 \"gone\" [gone]"},
    {.name = "accept session: no more rules",
     .rules = "at connect { [ours] accept session if client_address in 192.0.2.0/24 }\nat helo, mail, rcpt, data, eom, unknown { reject "
              "\"no\" }",
     .steps = "connect 192.0.2.1 x => accept [ours]\nhelo x\nmail <a@b.test>\nrcpt <c@d.test>\ndata\neom\nunknown FOO\nhelo y\nmail "
              "<b@b.test>\nrcpt <c@d.test>"},
    {.name = "accept session at helo and mail",
     .rules = "at helo { [me] accept session if helo_name == \"me\" }\nat mail { [vip] accept session if sender == \"v@b.test\" }\nat rcpt "
              "{ [no] reject \"no\" }",
     .steps = "connect 192.0.2.1 x\nhelo me => accept [me]\nmail <a@b.test>\nrcpt <c@d.test>\n"
              "connect 192.0.2.1 x\nhelo y\nmail <v@b.test> => accept [vip]\nmail <a@b.test>\nrcpt <c@d.test>"},
    {.name = "accept session does not undo what connect refused",
     .rules = "at connect { [net] reject \"no\" }\nat helo { accept session }",
     .steps = START "mail <a@b.test>\nrcpt <c@d.test> => reject 550 5.7.1 \"no\" [net]"},
    {.name = "accept message is for this one",
     .rules =
         "at mail { [vip] accept message if sender == \"v@b.test\" }\nat rcpt { [no] reject \"no\" }\nat eom { [late] reject \"late\" }",
     .steps = START
     "mail <v@b.test> => accept [vip]\nrcpt <c@d.test>\ndata\neom\nmail <a@b.test>\nrcpt <c@d.test> => reject 550 5.7.1 \"no\" [no]"},
    {.name = "accept message at data, the next message without MAIL",
     .rules = "at data { [few] accept message if recipient_count == 1 }\nat eom { [late] reject \"late\" if recipient_count == 1\n [two] "
              "reject \"two\" }",
     .steps = START "rcpt <c@d.test>\ndata => accept [few]\nrcpt <c@d.test>\nrcpt <e@d.test>\ndata\neom => reject 554 5.7.1 \"two\" [two]"},
    {.name = "accept message waits while there is something to do at the end",
     .rules = "at mail { prepend header \"X-A\" \"a\"\n [vip] accept message }\nat eom { reject \"late\" }",
     .steps = START "mail <v@b.test> => continue [vip]\nrcpt <c@d.test>\ndata\neom => continue header X-A: a"},
    {.name = "accept recipient is never ACCEPT",
     .rules = "at rcpt { [ok] accept recipient if recipient == \"a@d.test\"\n [no] reject \"no\" }\nat eom { [late] reject \"late\" }",
     .steps = START "mail <v@b.test>\nrcpt <a@d.test> => continue [ok]\nrcpt <b@d.test> => reject 550 5.7.1 \"no\" [no]\ndata\neom => "
                    "reject 554 5.7.1 \"late\" [late]"},
    {.name = "a header once a message, whatever the number of recipients",
     .rules = "at rcpt { [h] prepend header \"X-R\" \"{recipient}\"\n [h2] prepend header \"X-S\" \"s\" if recipient == \"b@d.test\" }\nat "
              "eom { [q] quarantine message \"look\" }",
     .steps = START "mail <v@b.test>\nrcpt <a@d.test>\nrcpt <b@d.test>\nrcpt <c@d.test>\ndata\n"
                    "eom => continue header X-R: a@d.test header X-S: s quarantine look\n"
                    "mail <w@b.test>\nrcpt <e@d.test>\ndata\neom => continue header X-R: e@d.test quarantine look"},
    {.name = "effects of a refused recipient are dropped",
     .rules = "at rcpt { [h] prepend header \"X-R\" \"{recipient}\"\n [no] reject \"no\" if recipient == \"a@d.test\" }",
     .steps = START
     "mail <v@b.test>\nrcpt <a@d.test> => reject 550 5.7.1 \"no\" [no]\nrcpt <b@d.test>\ndata\neom => continue header X-R: b@d.test\n"
     "mail <v@b.test>\nrcpt <b@d.test>\nabort\nmail <v@b.test>\nrcpt <c@d.test>\ndata\neom => continue header X-R: c@d.test"},
    {.name = "discard is kept to the end, each recipient is asked",
     .rules =
         "at rcpt { [trap] discard message \"trap\" if recipient == \"trap@d.test\"\n [no] reject \"no\" if recipient == \"no@d.test\" }",
     .steps = START "mail <v@b.test>\nrcpt <trap@d.test> => continue [trap]\nrcpt <no@d.test> => reject 550 5.7.1 \"no\" [no]\nrcpt "
                    "<b@d.test>\ndata\neom => discard\n"
                    "mail <v@b.test>\nrcpt <b@d.test>\ndata\neom"},
    {.name = "discard at mail is the verdict of each recipient",
     .rules = "at mail { [spam] discard message \"spam\" }\nat rcpt, data, eom { reject \"no\" }",
     .steps = START "mail <v@b.test> => continue [spam]\nrcpt <trap@d.test>\ndata\neom => discard"},
    {.name = "a refusal at the end comes before discard; discard at the end",
     .rules = "at rcpt { discard message \"trap\" }\nat eom { [two] reject \"two\" if recipient_count == 2\n [e] discard message \"e\" if "
              "recipient_count == 3 }",
     .steps = START "mail <v@b.test>\nrcpt <a@d.test> => continue [story.rules:1]\nrcpt <b@d.test> => continue [story.rules:1]\ndata\neom "
                    "=> reject 554 5.7.1 \"two\" [two]\n"
                    "mail <v@b.test>\nrcpt <a@d.test> => continue [story.rules:1]\nrcpt <b@d.test> => continue [story.rules:1]\nrcpt "
                    "<c@d.test> => continue [story.rules:1]\n"
                    "eom => discard [e]"},
    {.name = "mail refused: its recipients too, if the MTA asks",
     .rules = "at mail { [bad] reject 550 5.7.1 \"bad\" if sender == \"x@b.test\" }\nat rcpt { [ok] accept recipient }",
     .steps = START "mail <x@b.test> => reject 550 5.7.1 \"bad\" [bad]\nrcpt <c@d.test> => reject 550 5.7.1 \"bad\" [bad]\nmail "
                    "<a@b.test>\nrcpt <c@d.test> => continue [ok]"},
    {.name = "a refused DATA leaves the transaction open",
     .rules = "at data { [no] reject \"no\" if recipient_count == 1 }",
     .steps = START "mail <x@b.test>\nrcpt <c@d.test>\ndata => reject 554 5.7.1 \"no\" [no]\neom => reject 554 5.7.1 \"no\" [no]\n"
                    "rcpt <c@d.test>\nrcpt <e@d.test>\ndata\neom\nmail <x@b.test>\nrcpt <c@d.test>\ndata => reject 554 5.7.1 \"no\" "
                    "[no]\nmail <y@b.test>\nrcpt <c@d.test>\nrcpt <e@d.test>\ndata\neom"},
    {.name = "commands that nobody knows; EXPN has its own phase",
     .rules = "at unknown { [cmd] reject 502 5.5.1 \"{command}?\" if command ~ /^foo/\n [later] tempfail if command == \"LATER\" }\n"
              "at expn { [expn] reject \"no lists\" }",
     .steps = "connect 192.0.2.1 x\nunknown FOO bar => reject 502 5.5.1 \"FOO bar?\" [cmd]\nunknown OTHER\nunknown expn list => reject 502 "
              "5.5.1 \"no lists\" [expn]\n"
              "unknown LATER => tempfail 451 4.7.1 \"not accepted at this time, try again later\" [later]"},
    {.name = "what the other door owns is asked for its variables",
     .rules = "at connect { set session.seen = \"yes\"\n [net] reject \"no\" }\nat rcpt { [var] set message.who = recipient\n [no] "
              "reject \"no\" }\n"
              "at eom { [who] reject \"{session.seen} {message.who}\" }",
     .owned = PHASE_BIT(PHASE_DATA) | PHASE_BIT(PHASE_EOM),
     .steps = START "mail <x@b.test>\nrcpt <c@d.test>\ndata\neom => reject 554 5.7.1 \"yes c@d.test\" [who]\nclose"},
    {.name = "a message keeps its ruleset, the next takes the new one",
     .rules = "at rcpt { [old] reject \"old\" }",
     .second = "at rcpt { [new] reject \"new\" }",
     .steps = START "mail <x@b.test>\noffer\nrcpt <c@d.test> => reject 550 5.7.1 \"old\" [old]\nabort\nmail <x@b.test>\nrcpt <c@d.test> => "
                    "reject 550 5.7.1 \"new\" [new]"},
    {.name = "session variables go on under the new ruleset",
     .rules = "at helo { set session.name = helo_name }\nat rcpt { [old] reject \"old {session.name}\" }",
     .second = "at helo { set session.name = helo_name }\nat rcpt { [new] reject \"new {session.name}\" }",
     .steps = START "offer\nmail <x@b.test>\nrcpt <c@d.test> => reject 550 5.7.1 \"new mail.example.org\" [new]"},
    {.name = "variables of a message end with it",
     .rules = "at rcpt { [set] set message.x = \"yes\" if recipient == \"a@d.test\"\n [left] reject \"left\" if recipient == \"b@d.test\" "
              "and message.x is set }",
     .steps = START
     "mail <x@b.test>\nrcpt <a@d.test>\nrcpt <b@d.test> => reject 550 5.7.1 \"left\" [left]\nabort\nmail <x@b.test>\nrcpt <b@d.test>\n"
     "rcpt <a@d.test>\nhelo again\nmail <x@b.test>\nrcpt <b@d.test>\nrcpt <a@d.test>\ndata\neom\nmail <y@b.test>\nrcpt <b@d.test>"},
    {.name = "a look-up that finds nothing, and one that fails",
     .rules = "dnslist zen of ip \"zen.test\" on error tempfail\nat rcpt { [zen] reject \"listed\" if client_address in zen }",
     .steps = START "mail <x@b.test>\nrcpt <a@d.test>"},
    {.name = "a look-up that fails is unknown",
     .rules = "dnslist zen of ip \"zen.test\" on error tempfail\nat connect { [zen] reject \"listed\" if client_address in zen }\nat rcpt "
              "{ [pm] accept recipient if recipient.localpart == \"pm\" }",
     .fail = "timed out",
     .steps = START "mail <x@b.test>\nrcpt <a@d.test> => tempfail 451 4.3.0 \"temporary failure: try again later\" [zen]\nrcpt <pm@d.test> "
                    "=> continue [pm]"},
    {.name = "delays add up in a phase",
     .rules = "at rcpt { delay 2s\n [slow] delay 1s if recipient == \"a@d.test\" }",
     .steps = START "mail <x@b.test>\nrcpt <a@d.test> => continue delay=3000\nrcpt <b@d.test> => continue delay=2000"},
    {.name = "commands out of order",
     .rules = "at rcpt { [no] reject \"no\" if sender == \"x@b.test\" }\nat eom { [none] reject \"none\" if recipient_count is unset }",
     .steps = "eom => reject 554 5.7.1 \"none\" [none]\ndata\nrcpt <a@d.test>\nabort\nabort\nmail <x@b.test>\nmail <y@b.test>\nrcpt "
              "<a@d.test>\nhelo x\nconnect 192.0.2.1 x\n"
              "rcpt <a@d.test>\nclose\nclose\nmail <x@b.test>\neom => reject 554 5.7.1 \"none\" [none]\nrcpt <a@d.test>\neom\neom => "
              "reject 554 5.7.1 \"none\" [none]"},
    {.name = "facts of the connection",
     .rules = "at rcpt { [f] reject \"{client_address} {client_port} {client_name} {server_name} {service} {helo_name}\" }",
     .steps = "macro j host.example\nmacro {daemon_name} host.example\nconnect 2001:db8::1 mail.example.org\nhelo x\nmail <a@b.test>\n"
              "rcpt <c@d.test> => reject 550 5.7.1 \"2001:db8::1 40000 mail.example.org host.example listener x\" [f]\n"
              "macro {daemon_name} submission\nmacro j\nconnect 192.0.2.9 [192.0.2.9]\nhelo X.Y.\nmail <a@b.test>\n"
              "rcpt <c@d.test> => reject 550 5.7.1 \"192.0.2.9 40000  mx.example.test submission x.y\" [f]\n"
              "macro {daemon_name}\nmacro {client_addr} 192.0.2.77\nconnect - localhost\nhelo z\nmail <a@b.test>\n"
              "rcpt <c@d.test> => reject 550 5.7.1 \"192.0.2.77  localhost mx.example.test listener z\" [f]"},
    {.name = "facts of the message",
     .rules = "at rcpt { [f] reject \"<{sender}> {size} {sasl_username} {sasl_sender} {encryption_protocol} {queue_id}\" }",
     .steps = START
     "macro {auth_authen} alice\nmacro {auth_author} al\nmacro {tls_version} TLSv1.3\nmacro i QID\nmail <a@b.test> BODY=8BITMIME size=500\n"
     "rcpt <c@d.test> => reject 550 5.7.1 \"<a@b.test> 500 alice al TLSv1.3 QID\" [f]\n"
     "macro {auth_author}\nmacro i\nmail <a@b.test>\nrcpt <c@d.test> => reject 550 5.7.1 \"<a@b.test>  alice  TLSv1.3 \" [f]"},
    {"changes of a message: what the client named, and counted headers",
     "at rcpt {\n[rm] remove recipient \"{recipient}\" if recipient.localpart == \"gone\"\n[no] reject if recipient.localpart == "
     "\"no\"\n}\n"
     "at eom {\n[del] delete header \"X-A\"\n[sub] replace header \"Subject\" \"{sender}!\"\n[re] redirect message \"all@d.test\" if "
     "sender.localpart == \"re\"\n}\n",
     "connect 192.0.2.1 mail.example.org\n"
     "mail <a@b.test>\nrcpt <Gone@c.test>\nrcpt <gone@C.test>\nrcpt <kept@c.test>\nrcpt <no@c.test> => reject 550 5.7.1 \"recipient "
     "address refused by local policy\" [no]\n"
     "header x-a\nheader Subject\nheader X-A\neoh\n"
     "eom => continue change X-A[2] deleted change X-A[1] deleted change Subject[1] a@b.test! not to <Gone@c.test> not to <gone@C.test>\n"
     "mail <a@b.test>\nrcpt <gone@c.test>\nabort\n"
     "mail <re@b.test>\nrcpt <x@c.test>\nrcpt <y@c.test>\nheader X-B\neoh\n"
     "eom => continue append Subject: re@b.test! not to <x@c.test> not to <y@c.test> to <all@d.test>\n"
     "mail <a@b.test>\nrcpt <z@c.test>\nheader subject\neom => continue change Subject[1] a@b.test!\n"
     "header X-A\nheader Subject\neom => continue change X-A[1] deleted change Subject[1] !",
     NULL, 0, NULL, NULL},
    {"a connection is lost in a message, and another one takes its place: nothing of it is left",
     "at connect { score 1 }\nat helo { score 10 if helo_name == \"ten\" }\n"
     "at mail {\n[all] accept session if sender.localpart == \"all\"\n[head] prepend header \"X-From\" \"{sender}\" if sender.localpart == "
     "\"head\"\nset message.who = sender.localpart\nset session.who = sender.localpart\n}\n"
     "at rcpt {\nscore message 100\n[tell] reject \"{session.who} {message.who} {score}\" if recipient.localpart == \"tell\"\n"
     "[group] group recipients by recipient.domain \"again\"\n}\nat eom { [drop] discard message \"x\" if sender.localpart == \"drop\" }",
     "connect 192.0.2.1 mail.example.org\nhelo ten\nmail <head@b.test>\nrcpt <a@c.test>\n"
     "rcpt <b@d.test> => tempfail 452 4.5.3 \"again\" [group]\nheader X\nclose\n"
     "connect 192.0.2.1 mail.example.org\nhelo x\nmail <m@b.test>\n"
     "rcpt <tell@d.test> => reject 550 5.7.1 \"m m 101\" [tell]\nrcpt <b@d.test>\nrcpt <a@c.test> => tempfail 452 4.5.3 \"again\" "
     "[group]\neom\n"
     "mail <all@b.test> => accept [all]\nclose\n"
     "connect 192.0.2.1 mail.example.org\nmail <n@b.test>\nrcpt <tell@d.test> => reject 550 5.7.1 \"n n 101\" [tell]\nabort\n"
     "mail <head@b.test>\nrcpt <a@c.test>\nabort\nmail <o@b.test>\nrcpt <a@d.test>\neom\n"
     "mail <head@b.test>\nhelo ten\nmail <p@b.test>\nrcpt <tell@c.test> => reject 550 5.7.1 \"p p 111\" [tell]\nhelo x\n"
     "mail <q@b.test>\nrcpt <tell@c.test> => reject 550 5.7.1 \"q q 101\" [tell]",
     NULL, 0, NULL, NULL},
    {"a message that is discarded or refused is not changed",
     "at rcpt { [copy] bcc message \"copy@d.test\"\n[drop] discard message \"x\" if recipient.localpart == \"drop\" }\n"
     "at eom { [end] reject \"no\" if sender.localpart == \"no\" }",
     "connect 192.0.2.1 mail.example.org\nmail <a@b.test>\nrcpt <drop@c.test> => continue [drop]\neom => discard\n"
     "mail <no@b.test>\nrcpt <c@c.test>\neom => reject 554 5.7.1 \"no\" [end]\n"
     "mail <a@b.test>\nrcpt <c@c.test>\nrcpt <d@c.test>\neom => continue to <copy@d.test>",
     NULL, 0, NULL, NULL},
};

START_TEST(a_story_is_told) {
  story_tell(&stories[_i]);
}
END_TEST

/* Rather than to leave some of them out the message is sent away; the next one is an ordinary one. */
START_TEST(too_many_changes) {
  g_autoptr(GString) steps = g_string_new(START "mail <a@b.test>\n");
  for (int i = 0; i <= LIMIT_MESSAGE_EFFECTS; i++) {
    g_string_append_printf(steps, "rcpt <%d@c.test>\n", i);
  }
  g_string_append(steps,
                  "eom => tempfail 451 4.3.0 \"too many changes of one message\"\n"
                  "mail <a@b.test>\nrcpt <c@c.test>\neom => continue to <c@d.test>");
  Story story = {
      .name = "too many changes", .rules = "at rcpt { [copy] bcc message \"{recipient.localpart}@d.test\" }", .steps = steps->str};
  story_tell(&story);
}
END_TEST

START_TEST(parameters_in_the_first_argument) {
  static const Story story = {.name = "argv[0]", .rules = "at rcpt { [f] reject \"{sender} {size} {recipient}\" }"};
  g_autoptr(Registry) registry = story_registry();
  g_autoptr(Ruleset) ruleset = story_rules(registry, story.rules);
  g_autoptr(Clock) clock = clock_manual_new(0);
  MilterOptions options = story_options(&story, clock);
  g_autoptr(MilterPlan) plan = milter_plan_new(ruleset, &options);
  MilterSession *session = milter_session_new(plan);
  const char *mail[] = {"<\"a b>\"@b.test> SMTPUTF8 SIZE=77", NULL}, *rcpt[] = {"c@d.test NOTIFY=NEVER", NULL};
  ck_assert_int_eq(milter_session_event(session, &(MilterEvent){.kind = MILTER_MAIL, .arguments = mail}), EVALUATION_DECIDED);
  ck_assert_int_eq(milter_session_event(session, &(MilterEvent){.kind = MILTER_RCPT, .arguments = rcpt}), EVALUATION_DECIDED);
  ck_assert_str_eq(milter_session_result(session)->lines[0], "\"a b>\"@b.test 77 c@d.test");
  milter_session_free(session);
}
END_TEST

START_TEST(the_deadline_makes_unknowns) {
  static const Story story = {
      .name = "deadline",
      .rules = "dnslist zen of ip \"zen.test\" on error tempfail\nat rcpt { [zen] reject \"listed\" if client_address in zen }"};
  g_autoptr(Registry) registry = story_registry();
  g_autoptr(Ruleset) ruleset = story_rules(registry, story.rules);
  g_autoptr(Clock) clock = clock_manual_new(0);
  MilterOptions options = story_options(&story, clock);
  g_autoptr(MilterPlan) plan = milter_plan_new(ruleset, &options);
  MilterSession *session = milter_session_new(plan);
  IpAddress address;
  ck_assert(ip_parse(SLICE_LITERAL("192.0.2.1"), &address));
  const char *rcpt[] = {"<c@d.test>", NULL};
  (void)milter_session_event(session, &(MilterEvent){.kind = MILTER_CONNECT, .address = &address, .port = 1});
  ck_assert_int_eq(milter_session_event(session, &(MilterEvent){.kind = MILTER_RCPT, .arguments = rcpt}), EVALUATION_WAITS);
  size_t count;
  Question *const *wanted = milter_session_wanted(session, &count);
  ck_assert_uint_eq(count, 1);
  g_autoptr(Question) late = question_ref(wanted[0]);
  milter_session_expire(session, "no answer within the deadline");
  ck_assert_int_eq(milter_session_run(session), EVALUATION_DECIDED);
  ck_assert_int_eq(milter_session_result(session)->action, MILTER_TEMPFAIL);
  ck_assert_str_eq(milter_session_result(session)->code, "451");
  ck_assert(milter_session_result(session)->verdict->by_failure);
  g_autoptr(Answer) answer = answer_new(ANSWER_NOT_FOUND, NULL, 0);
  milter_session_answer(session, late, answer); /* nobody waits any more */
  /* An event may come while one waits: the MTA has gone. */
  ck_assert_int_eq(milter_session_event(session, &(MilterEvent){.kind = MILTER_RCPT, .arguments = rcpt}), EVALUATION_WAITS);
  ck_assert_int_eq(milter_session_event(session, &(MilterEvent){.kind = MILTER_CLOSE}), EVALUATION_DECIDED);
  milter_session_free(session);
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_loop_test(tests, a_story_is_told, 0, (int)G_N_ELEMENTS(stories));
  tcase_add_test(tests, too_many_changes);
  tcase_add_test(tests, parameters_in_the_first_argument);
  tcase_add_test(tests, the_deadline_makes_unknowns);
}

UNIT_MAIN("milter_session", add_tests)
