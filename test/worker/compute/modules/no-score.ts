/** A scoring module that forgot its export. */
export const scores = 1;
