// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.linux;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** Strings whose characters are bytes. */
class NativeTextTest {
    @Test
    void everyByteComesBack() {
        byte[] all = new byte[256];
        for (int i = 0; i < all.length; i++) {
            all[i] = (byte) i;
        }
        assertArrayEquals(all, NativeText.bytes(NativeText.of(all)));
    }

    @Test
    void charactersThatAreNoBytesAreWrittenAsUtf8BesideThoseThatAre() {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        PrintStream stream = NativeText.printStream(out, false);
        stream.println("\u2500\u00ff");
        stream.flush();
        assertArrayEquals(new byte[] {(byte) 0xe2, (byte) 0x94, (byte) 0x80, (byte) 0xff, '\n'}, out.toByteArray());
    }

    @Test
    void aDocumentGetsCharacters() {
        String bytes = NativeText.ofUnicode("\u00f6\u2500");
        assertEquals(5, bytes.length());
        assertEquals("\u00f6\u2500", NativeText.toUnicode(bytes));
        assertTrue(NativeText.isUtf8(bytes));
        assertFalse(NativeText.isUtf8("a\u00ff"));
        assertEquals("a\ufffd", NativeText.toUnicode("a\u00ff"));
    }

    @Test
    void aPathWithANulIsRefused() {
        assertThrows(IOException.class, () -> NativeText.path("a\0b"));
    }

    @Test
    void programsThatAreStartedGetTheCallersLocale() {
        Map<String, String> environment = new HashMap<>(Map.of(
                "LC_ALL", "C.ISO-8859-1",
                "LANGUAGE", "",
                "LOCPATH", "/dist/lib/locale",
                "ERA_CALLER_LC_ALL", "de_DE.UTF-8",
                "ERA_CALLER_LANGUAGE", "",
                "ERA_CALLER_LOCPATH", "",
                "LANG", "fr"));
        NativeText.restoreLocale(environment);
        assertEquals(Map.of("LC_ALL", "de_DE.UTF-8", "LANG", "fr"), environment);
        // Not from a launcher: nothing is changed.
        NativeText.restoreLocale(environment);
        assertEquals(Map.of("LC_ALL", "de_DE.UTF-8", "LANG", "fr"), environment);
    }

    @Test
    void whatIsNotSeenIsWrittenAsItsBytes() {
        String seen = NativeText.ofUnicode("vol-1 größer 日本 🙂 \\ ~");
        assertEquals(seen, NativeText.printable(seen));
        assertEquals("a\\x0a\\x1b[2J\\x00\\x7f", NativeText.printable("a\n\u001b[2J\0\u007f"));
        // Broken, overlong and cut off; a control character of the upper half; one that turns what follows around.
        assertEquals("\\xff\\xc0\\xaf\\xe6\\x97", NativeText.printable("\u00ff\u00c0\u00af\u00e6\u0097"));
        assertEquals("\\xc2\\x9b\\xe2\\x80\\xae!", NativeText.printable(NativeText.ofUnicode("\u009b\u202e!")));
    }
}
