// SPDX-License-Identifier: Apache-2.0
/** era_check and era_repair: options, a call into era-core, and its report as text or JSON. */
package org.dmera.tools.check;
