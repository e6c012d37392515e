// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.kernel;

class UserModeLinuxKernelTest extends KernelLabTests {
    UserModeLinuxKernelTest() {
        super(Kernel.USER_MODE_LINUX);
    }
}
