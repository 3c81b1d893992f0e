// CommonJS, because the SDK loads it with require(), which cannot load ES modules before Node 22.
const { DefaultFailureConverter } = require('@temporalio/common');

/** Encodes messages and stack traces of failures as payloads, which the codec encrypts. */
exports.failureConverter = new DefaultFailureConverter({ encodeCommonAttributes: true });
