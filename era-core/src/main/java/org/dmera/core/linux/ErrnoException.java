// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.linux;

import java.io.IOException;

/** A system call that failed: which call, on what, with which errno. */
public final class ErrnoException extends IOException {
    private static final long serialVersionUID = 1L;

    private final int errno;

    /** {@code what} is the call and its object, as in {@code open /dev/sdb}. */
    public ErrnoException(String what, int errno) {
        super(what + ": " + Errno.text(errno));
        this.errno = errno;
    }

    /** The same with an errno of which the name is known. */
    public ErrnoException(String what, Errno errno) {
        this(what, errno.number());
    }

    /** {@return what a call returned} Throws when that is a −errno; {@code what} is as of the constructor. */
    public static int check(String what, int result) throws ErrnoException {
        if (result < 0) {
            throw new ErrnoException(what, -result);
        }
        return result;
    }

    /** The positive errno. */
    public int errno() {
        return errno;
    }

    /** Whether it is {@code e}. */
    public boolean is(Errno e) {
        return errno == e.number();
    }
}
