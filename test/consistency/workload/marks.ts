/** Words of the history that the clients write and the checkers look for. */

/** What is recorded when redis says that a new member of the set was in it before: the command was carried out twice. */
export const alreadyThere = "was already a member";
