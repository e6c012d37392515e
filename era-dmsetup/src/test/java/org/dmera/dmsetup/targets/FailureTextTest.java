// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.channels.ClosedChannelException;
import java.nio.file.NoSuchFileException;
import org.dmera.core.linux.ErrnoException;
import org.junit.jupiter.api.Test;

/** Failures in words, without names of classes. */
class FailureTextTest {
    @Test
    void aMessageStaysAndTheClassesThatItQuotesGo() {
        assertEquals("read vol: Input/output error", FailureText.of(new ErrnoException("read vol", 5)));
        assertEquals(
                "PKIX path validation failed: signature check failed",
                FailureText.of(
                        new IOException(
                                "PKIX path validation failed: java.security.cert.CertPathValidatorException: signature check failed")));
    }

    @Test
    void whatHasNoMessageOrOnlyANameIsExplained() {
        assertEquals("/a/b: no such file", FailureText.of(new NoSuchFileException("/a/b")));
        assertEquals("it was closed meanwhile", FailureText.of(new ClosedChannelException()));
        assertEquals("out of memory: Java heap space", FailureText.of(new OutOfMemoryError("Java heap space")));
    }

    @Test
    void anErrorOfThisProgramIsNamedByItsPlace() {
        String text = FailureText.of(new NullPointerException("Cannot invoke \"org.dmera.Some.thing()\""));
        assertTrue(text.matches("internal error at FailureTextTest\\.java:[0-9]+"), text);
    }
}
