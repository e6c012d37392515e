// SPDX-License-Identifier: Apache-2.0
/** The tools as users have them: the launchers of the distribution, and beside thin-provisioning-tools. */
package org.dmera.tests.tools;
