// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.kernel;

import java.util.List;
import java.util.Locale;

/** The kernels that the lab runs, with {@code vmrun}'s options for them. */
enum Kernel {
    /** Debian 12's own package: 6.1. The reference. */
    DEBIAN_12("qemu", "bookworm"),
    /** Debian 13's: 6.12. */
    DEBIAN_13("qemu", "trixie"),
    /** Debian 12's User-mode Linux package: 6.1, an older patch level, and fast. */
    USER_MODE_LINUX("uml", "bookworm");

    private final String backend;
    private final String release;

    Kernel(String backend, String release) {
        this.backend = backend;
        this.release = release;
    }

    /** Whether every instruction costs, so that few cases must do. */
    boolean isEmulated() {
        return backend.equals("qemu");
    }

    String release() {
        return release;
    }

    List<String> options() {
        return List.of("-b", backend, "-k", release);
    }

    String folderName() {
        return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }
}
