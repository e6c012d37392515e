// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.IOException;

/** A client that does not keep to the NBD protocol: what it did, as said after its name. */
final class ProtocolException extends IOException {
    private static final long serialVersionUID = 1L;

    ProtocolException(String what) {
        super(what);
    }
}
