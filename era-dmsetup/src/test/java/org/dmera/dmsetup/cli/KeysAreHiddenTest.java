// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.dmera.dmsetup.control.Control;
import org.dmera.dmsetup.ioctl.DeviceEntry;
import org.dmera.dmsetup.ioctl.DmCommand;
import org.dmera.dmsetup.ioctl.DmFlags;
import org.dmera.dmsetup.ioctl.DmIoctl;
import org.dmera.dmsetup.ioctl.TargetSpec;
import org.junit.jupiter.api.Test;

/** Tables with keys in them, from a device-mapper that gives such tables. */
class KeysAreHiddenTest {
    private static final String KEY = "babebabebabebabebabebabebabebabe";
    private static final String ZEROS = "0".repeat(KEY.length());

    private static final List<TargetSpec> TABLE = List.of(
            new TargetSpec(0, 8, "crypt", "aes-cbc-essiv:sha256 " + KEY + " 0 7:0 0 1 allow_discards"),
            new TargetSpec(8, 8, "crypt", "aes-xts-plain64 :32:logon:vault 0 7:0 0"),
            new TargetSpec(16, 8, "crypt", "capi:xts(aes)-plain64\t" + KEY + "\t0 7:0 0"),
            new TargetSpec(
                    24,
                    8,
                    "integrity",
                    "7:0 0 28 J 4 block_size:512 internal_hash:hmac(sha256):" + KEY + " journal_crypt:ctr(aes):" + KEY
                            + " journal_mac:crc32"),
            new TargetSpec(32, 8, "linear", "7:0 32"));

    private static final List<String> HIDDEN = List.of(
            "0 8 crypt aes-cbc-essiv:sha256 " + ZEROS + " 0 7:0 0 1 allow_discards",
            "8 8 crypt aes-xts-plain64 :32:logon:vault 0 7:0 0",
            "16 8 crypt capi:xts(aes)-plain64\t" + ZEROS + "\t0 7:0 0",
            "24 8 integrity 7:0 0 28 J 4 block_size:512 internal_hash:hmac(sha256):" + ZEROS
                    + " journal_crypt:ctr(aes):" + ZEROS + " journal_mac:crc32",
            "32 8 linear 7:0 32");

    /** Knows one device, with that table. */
    private static final class OneDevice implements Control {
        @Override
        public int call(int command, ByteBuffer buffer) {
            DmIoctl io = DmIoctl.over(buffer);
            io.setVersion(4, 47, 0);
            io.setFlags(io.flags() | DmFlags.ACTIVE_PRESENT);
            if (command == DmCommand.LIST_DEVICES.number()) {
                DeviceEntry.encode(io, List.of(new DeviceEntry(1, "vault", 0, "")));
            } else if (command == DmCommand.TABLE_STATUS.number()) {
                io.setName("vault");
                io.setTargetCount(TABLE.size());
                TargetSpec.encodeAnswer(io, TABLE);
            }
            return 0;
        }

        @Override
        public String describe() {
            return "a test";
        }

        @Override
        public void close() {}
    }

    private static String run(String... words) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        int code = new DmSetup(
                        new ByteArrayInputStream(new byte[0]),
                        new PrintStream(out, false, StandardCharsets.ISO_8859_1),
                        new PrintStream(err, false, StandardCharsets.ISO_8859_1),
                        (switches, creating) -> new OneDevice())
                .run("dmsetup", List.of(words));
        assertEquals(0, code, () -> err.toString(StandardCharsets.ISO_8859_1));
        return out.toString(StandardCharsets.ISO_8859_1) + err.toString(StandardCharsets.ISO_8859_1);
    }

    @Test
    void aTableShowsZerosInTheirPlace() {
        assertEquals(HIDDEN, run("table", "vault").lines().toList());
    }

    @Test
    void noFormOfATableShowsThem() {
        for (String[] words : new String[][] {
            {"table"},
            {"table", "-v", "vault"},
            {"table", "--concise"},
            {"table", "--json"},
            {"table", "--target", "crypt"},
        }) {
            String text = run(words);
            assertFalse(text.contains(KEY), text);
            assertTrue(text.contains(ZEROS), text);
        }
    }

    @Test
    void whoAsksForThemIsShownThem() {
        assertEquals(
                TABLE.stream().map(TargetSpec::line).toList(),
                run("table", "--showkeys", "vault").lines().toList());
        assertTrue(run("table", "--showkeys", "--json").contains(KEY));
    }
}
