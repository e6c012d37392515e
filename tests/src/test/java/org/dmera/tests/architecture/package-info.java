// SPDX-License-Identifier: Apache-2.0
/** What holds for the modules as they were built: which package may use which. */
package org.dmera.tests.architecture;
