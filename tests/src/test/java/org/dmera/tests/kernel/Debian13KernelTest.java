// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.kernel;

class Debian13KernelTest extends KernelLabTests {
    Debian13KernelTest() {
        super(Kernel.DEBIAN_13);
    }
}
