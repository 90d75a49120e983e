/* Messages that several SIP tests begin with. */
#ifndef MUSTER_TEST_CODEC_SIP_MESSAGES_H
#define MUSTER_TEST_CODEC_SIP_MESSAGES_H

#define SIP_REGISTER_TEXT                                                                          \
    "REGISTER sip:home.net SIP/2.0\r\n"                                                            \
    "Via: SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bKabc;rport, SIP/2.0/UDP 192.0.2.2\r\n"           \
    "v: SIP / 2.0 / TCP [2001:db8::1]:5060 ;branch=z9hG4bKdef;received=192.0.2.9\r\n"              \
    "Max-Forwards: 70\r\n"                                                                         \
    "f: \"Alice \\\"A\\\" Smith\" <sip:alice@home.net>;tag=from1\r\n"                              \
    "To:\t<sip:alice@home.net>\r\n"                                                                \
    "i: call-1@192.0.2.1\r\n"                                                                      \
    "CSeq: 7 REGISTER\r\n"                                                                         \
    "m: <sip:alice@192.0.2.1:5070>;expires=600;q=0.5;reg-id=2\r\n"                                 \
    " ;+sip.instance=\"<urn:gsma:imei:90420156-025763-0>\"\r\n"                                    \
    "Authorization: Digest username=\"alice@home.net\", realm=\"home.net\", nonce=\"\",\r\n"       \
    "\turi=\"sip:home.net\", response=\"\", auts=\"YQ==\", integrity-protected=\"no\"\r\n"         \
    "Supported: path , gruu\r\n"                                                                   \
    "k: outbound\r\n"                                                                              \
    "X-Unknown: a, b\r\n"                                                                          \
    "Expires: 600000\r\n"                                                                          \
    "Content-Length: 4\r\n"                                                                        \
    "\r\n"                                                                                         \
    "body"

#endif
