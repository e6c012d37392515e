// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.junit.jupiter.api.Test;

/** Clients that leave while something of them is on its way. */
class ClientTest {
    /** Its end was closed; just when its own thread looks, whoever comes after it finds that out. */
    private static final class Ending implements Client.Line {
        private Client client;

        @Override
        public boolean isCut() {
            assertTrue(client.hasLeft());
            return false;
        }

        @Override
        public boolean isEnding() {
            return true;
        }
    }

    @Test
    void thatAClientHasLeftIsNotForgottenByALookAtItsLine() {
        Ending line = new Ending();
        line.client = new Client(line);
        ErrnoException e = assertThrows(ErrnoException.class, line.client::begin);
        assertTrue(e.is(Errno.ESHUTDOWN), e::getMessage);
        assertTrue(line.client.hasLeft());
    }
}
