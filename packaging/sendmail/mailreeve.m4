divert(-1)
dnl mailreeve.m4: Sendmail asks mailreeve-policyd about VRFY, EXPN, ETRN and unknown commands. See mailreeve-sendmail(7).
dnl
dnl FEATURE(`mailreeve', [SOCKET], [FAILURE], [NOOP])
dnl
dnl SOCKET    of mailreeve-policyd, as Sendmail writes it: unix:/run/mailreeve/socketmap (the default) or inet:PORT@HOST
dnl FAILURE   what VRFY, EXPN and ETRN are answered while nobody answers there: tempfail (the default): 451 4.3.0; pass: as without this feature
dnl NOOP      noop: NOOP and VERB are asked about as unknown commands are; only a disconnect is heard
divert(0)
VERSIONID(`mailreeve.m4')
divert(-1)
ifelse(defn(`_ARG_'), `', `define(`_MAILREEVE_SOCKET_', `unix:/run/mailreeve/socketmap')', `define(`_MAILREEVE_SOCKET_', defn(`_ARG_'))')
define(`_MAILREEVE_ARG2_', `$2')
define(`_MAILREEVE_ARG3_', `$3')
define(`_MAILREEVE_FAILURE_', _MAILREEVE_ARG2_(_ARGS_))
define(`_MAILREEVE_NOOP_', _MAILREEVE_ARG3_(_ARGS_))
ifelse(_MAILREEVE_FAILURE_, `', `define(`_MAILREEVE_FAILURE_', `tempfail')')
ifelse(_MAILREEVE_FAILURE_, `tempfail', `', _MAILREEVE_FAILURE_, `pass', `', `errprint(`*** ERROR: mailreeve: the second argument is tempfail or pass
')')
ifelse(_MAILREEVE_NOOP_, `', `', _MAILREEVE_NOOP_, `noop', `', `errprint(`*** ERROR: mailreeve: the third argument is noop or nothing
')')
dnl
dnl The texts that ask: each fact of fact.def that Sendmail has, as its name and macro, with <> between them. The client's own text is the last one, so that it can
dnl never pass for another.
define(`_MAILREEVE_FACTS_', `client_address= $&{client_addr} <> client_port= $&{client_port} <> client_name= $&{client_name} <> reverse_client_name= $&{client_ptr} <> server_address= $&{if_addr} <> server_port= $&{daemon_port} <> server_name= $&j <> service= $&{daemon_name} <> mail_version= $&v <> encryption_protocol= $&{tls_version} <> encryption_cipher= $&{cipher} <> encryption_keysize= $&{cipher_bits} <> ccert_subject= $&{cert_subject} <> ccert_issuer= $&{cert_issuer} <> ccert_fingerprint= $&{cert_fp}')
LOCAL_CONFIG
# Case, quotes and blanks stay as they are (-f -q, a blank behind -S); an answer takes up to 8 seconds (-d).
Kmailreeve_vrfy socket -f -q -d10s -S  _MAILREEVE_SOCKET_
Kmailreeve_expn socket -f -q -d10s -S  _MAILREEVE_SOCKET_
Kmailreeve_etrn socket -f -q -d10s -S  _MAILREEVE_SOCKET_
Kmailreeve_other socket -f -q -d10s -S  _MAILREEVE_SOCKET_
# The bytes that mean something to the rewriting engine itself. No text with one of them reaches the right side of a rule.
C{mailreeve_code} $( $) $@ $: $> $[ $] $#

LOCAL_RULESETS
# The answer of the map: pass, or a word and the reply. All else means that there was none.
Smailreeve_answer
Rpass			$@ pass
Rrefuse $+		$#error $@ 5.7.1 $: $1
Rdefer $+		$#error $@ 4.7.1 $: $1
ifelse(_MAILREEVE_FAILURE_, `pass', `R$*			$@ pass', `R$*			$#error $@ 4.3.0 $: "451 4.3.0 Policy is not available, try again later"')

Scheck_vrfy
R$* $={mailreeve_code} $*	$#error $@ 5.1.3 $: "501 5.1.3 8-bit character in mailbox address"
R$*			$: $(mailreeve_vrfy _MAILREEVE_FACTS_ <> argument= $1 $: none $)
R$*			$: $>mailreeve_answer $1

Scheck_expn
R$* $={mailreeve_code} $*	$#error $@ 5.1.3 $: "501 5.1.3 8-bit character in mailbox address"
R$*			$: $(mailreeve_expn _MAILREEVE_FACTS_ <> argument= $1 $: none $)
R$*			$: $>mailreeve_answer $1

Scheck_etrn
R$* $={mailreeve_code} $*	$#error $@ 5.5.4 $: "501 5.5.4 8-bit character in parameter"
R$*			$: $(mailreeve_etrn _MAILREEVE_FACTS_ <> argument= $1 $: none $)
R$*			$: $>mailreeve_answer $1

# $| and the first digit of the reply to come stand behind the command, or within a quoted text that does not end.
Scheck_other
R$* $={mailreeve_code} $*	$@ pass
ifelse(_MAILREEVE_NOOP_, `noop', `', `R$* $| 2		$@ pass')
R$*			$: $(mailreeve_other _MAILREEVE_FACTS_ <> argument= $1 $: none $)
Rrefuse $+		$#error $@ 5.7.1 $: $1
Rdefer $+		$#error $@ 4.7.1 $: $1
R$*			$@ pass
