// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import org.dmera.dmsetup.targets.Failures.Step;
import org.junit.jupiter.api.Test;

class FailuresTest {
    private static Step failing(IOException e) {
        return () -> {
            throw e;
        };
    }

    @Test
    void theFirstIsThrownWithTheOthers() {
        IOException first = new IOException("first");
        IOException second = new IOException("second");
        Failures failures = new Failures();
        failures.run(failing(first));
        failures.run(failing(second));
        assertSame(first, assertThrows(IOException.class, failures::throwFirst));
        assertArrayEquals(new Throwable[] {second}, first.getSuppressed());
    }

    /** All who wait for one commit are told of its failure by one exception; two of them may belong to one step more. */
    @Test
    void oneFailureMayComeFromSeveralSteps() {
        IOException shared = new IOException("the cable is out");
        Failures failures = new Failures();
        failures.run(failing(shared));
        failures.run(failing(shared));
        assertSame(shared, assertThrows(IOException.class, failures::throwFirst));
        Failures.after(shared, failing(shared));
        assertEquals(0, shared.getSuppressed().length);
    }

    /** Of a file that can't be opened, say, and whose claim can't be given back either: the first is what there is to mend. */
    @Test
    void whatFailsWhenAHalfMadeThingIsTakenBackDoesNotHideWhyItWasNotMade() {
        IOException why = new IOException("why");
        IOException after = new IOException("after");
        assertSame(
                why,
                assertThrows(
                        IOException.class,
                        () -> Failures.takingBack(failing(after), () -> {
                            throw why;
                        })));
        assertArrayEquals(new Throwable[] {after}, why.getSuppressed());
    }

    @Test
    void whatWasMadeIsNotTakenBack() throws IOException {
        assertEquals("made", Failures.takingBack(failing(new IOException("taken back")), () -> "made"));
    }
}
