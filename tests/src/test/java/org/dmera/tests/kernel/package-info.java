// SPDX-License-Identifier: Apache-2.0
/**
 * The kernel lab: our tools and our engine against the real dm-era target, run in a virtual machine. How to run it and how
 * to add a case is in {@code tests/kernel/README.md}.
 *
 * <p>A {@link org.dmera.tests.kernel.LabCase} prepares files, is a script in the guest, and judges what came out; a
 * {@link org.dmera.tests.kernel.LabRun} takes many cases through one boot.
 */
package org.dmera.tests.kernel;
