/** Errors of the resource API, with the codes of AWS. */

/** What the caller did wrong, or what is in the way: becomes `{code, message}` with this HTTP status. */
export class ApiError extends Error {
  readonly code: string;
  readonly status: number;
  constructor(code: string, message: string, status = 400) {
    super(message);
    this.name = "ApiError";
    this.code = code;
    this.status = status;
  }
}

/** Something is still in use: AWS's DependencyViolation. */
export function inUse(what: string, by: string): ApiError {
  return new ApiError("DependencyViolation", `${what} has dependencies and cannot be deleted: ${by}`);
}
