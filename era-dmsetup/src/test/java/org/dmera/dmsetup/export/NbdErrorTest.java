// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.junit.jupiter.api.Test;

class NbdErrorTest {
    private static void assertAnswer(Errno expected, Errno failure) {
        assertEquals(expected.number(), Nbd.error(new ErrnoException("write", failure.number())));
    }

    @Test
    void wantOfSpaceOfAnyKindIsToldAsSuch() {
        assertAnswer(Errno.ENOSPC, Errno.ENOSPC);
        assertAnswer(Errno.ENOSPC, Errno.EDQUOT);
        assertAnswer(Errno.ENOSPC, Errno.EFBIG);
        assertAnswer(Errno.EIO, Errno.EIO);
        assertEquals(Errno.EIO.number(), Nbd.error(new IOException("something else")));
    }
}
