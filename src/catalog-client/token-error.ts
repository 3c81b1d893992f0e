import { ClientError } from 'nice-grpc-common';

/** A call that was not made because no token could be obtained for it. Its code is UNAUTHENTICATED, and its details name the reason. */
export class TokenError extends ClientError {}
