#!/usr/bin/python3
"""baresip, an ordinary SIP client, registers with a password (SIP Digest, MD5), keeps registered, and leaves.

covers: A4 A11

baresip 1.0 gives up at a challenge whose algorithm it does not know, be there another one beside it or not, so its
user has an MD5 hash alone."""

import subprocess

import client_network
from client_network import CLIENT, CORE, DOMAIN, ClientCase

CONFIG = """module_path /usr/lib/baresip/modules
sip_transports udp,tcp
audio_player aufile,{folder}/out.wav
audio_source ausine,440
module uuid.so
module g711.so
module ausine.so
module aufile.so
module_app account.so
module_app menu.so
net_interface vclient
"""


class Baresip(ClientCase):
    """One client against a whole home network."""

    def start_client(self, user, password, transport="udp", seconds=20):
        folder = self.folder / "baresip"
        folder.mkdir()
        (folder / "config").write_text(CONFIG.format(folder=folder), encoding="utf-8")
        (folder / "accounts").write_text(
            f"<sip:{user}@{DOMAIN};transport={transport}>;auth_user={user}@{DOMAIN};auth_pass={password};"
            f'outbound="sip:{CORE}:5060;transport={transport}";regint=4;sipnat=outbound\n', encoding="utf-8")
        self.client_log = folder / "log"
        with open(self.client_log, "w", encoding="utf-8") as out:
            process = subprocess.Popen(
                self.client_command("baresip", "-4", "-f", str(folder), "-s", "-t", str(seconds)),
                stdout=out, stderr=out, stdin=subprocess.DEVNULL)
        self.addCleanup(self.stop, process)
        return process

    def logs(self):
        return self.log, self.client_log

    def test_it_registers_stays_and_leaves(self):
        self.stays_and_leaves("udp")

    def test_it_does_the_same_over_tcp(self):
        self.stays_and_leaves("tcp")

    def stays_and_leaves(self, transport):
        self.start_home()
        self.add_user("bob", "--algorithm", "MD5", password="geheim")
        client = self.start_client("bob", "geheim", transport)
        self.wait(lambda: self.is_registered("bob"), 8, "bob is not registered", *self.logs())
        self.wait(lambda: self.said(r"re-registered impi=\"bob@"), 8, "bob does not register again", *self.logs())
        self.assertIn(f"{transport.upper()} {CLIENT}:", self.client_log.read_text(errors="replace"))
        self.stop(client)
        self.wait(lambda: not self.is_registered("bob"), 8, "bob has not left", *self.logs())

    def test_a_wrong_password_does_not_register(self):
        self.start_home()
        self.add_user("bob", "--algorithm", "MD5", password="geheim")
        self.start_client("bob", "wrong")
        self.wait(lambda: "SIP/2.0 401" in self.client_log.read_text(errors="replace"), 8, "no 401", *self.logs())
        self.wait(lambda: self.client_log.read_text(errors="replace").count("Authorization: Digest") >= 1,
                  8, "no response", *self.logs())
        self.assertFalse(self.is_registered("bob"))
        self.assertEqual(0, self.said("scscf registered"))


if __name__ == "__main__":
    client_network.skip_without("baresip")
    import tap
    tap.main()
