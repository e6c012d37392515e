// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.kernel;

import java.util.List;
import java.util.Locale;

/** The kernels that the lab runs, with {@code vmrun}'s options for them. */
enum Kernel {
    /** Debian 12's own package: 6.1. The reference. */
    DEBIAN_12("-b qemu -k bookworm"),
    /** Debian 13's: 6.12. */
    DEBIAN_13("-b qemu -k trixie"),
    /** Debian 12's User-mode Linux package: 6.1, an older patch level, and fast. */
    USER_MODE_LINUX("-b uml");

    private final String options;

    Kernel(String options) {
        this.options = options;
    }

    List<String> options() {
        return List.of(options.split(" ", -1));
    }

    String folderName() {
        return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }
}
