// SPDX-License-Identifier: Apache-2.0
/** era-dmsetup and its engine as whole programs: started, stopped, killed, and spoken to by others. */
package org.dmera.tests.dmsetup;
