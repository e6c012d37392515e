// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.kernel;

class Debian12KernelTest extends KernelLabTests {
    Debian12KernelTest() {
        super(Kernel.DEBIAN_12);
    }
}
