"""What a store's error means to a run: whether the same command will do later, or somebody has to change something.

pyarrow hands on what the stores' own libraries say as text, so the words are all there is to go by. What is not known is taken
for trouble that passes: a run that stops early loses nothing, and the next one says the same if it was wrong.
"""

import errno
import re

from pipeline.core.errors import RowcallError, StoppedError, StorageError

# As the AWS SDK and the clients of Google's and Microsoft's stores name them.
_DENIED = re.compile(
    r"ACCESS_DENIED|INVALID_ACCESS_KEY_ID|INVALID_CLIENT_TOKEN_ID|SIGNATURE_DOES_NOT_MATCH|EXPIRED_TOKEN|UNRECOGNIZED_CLIENT"
    r"|MISSING_AUTHENTICATION_TOKEN|INVALID_SIGNATURE|HTTP status 40[13]|PERMISSION_DENIED|UNAUTHENTICATED|AuthorizationFailure"
    r"|AuthenticationFailed|ExpiredToken|AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch|credentials|Forbidden|\b403\b"
    r"|RequestTimeTooSkewed|config profile|\bSSO\b"
    # All that is said of a token that has expired, where the answer has no body.
    r"|HTTP status 400\) during HeadObject",
    re.IGNORECASE,
)
_ELSEWHERE = re.compile(
    r"PermanentRedirect|AuthorizationHeaderMalformed|HTTP status 30[17]|IllegalLocationConstraint", re.IGNORECASE
)
_UNABLE = re.compile(r"NotImplemented|MethodNotAllowed|HTTP status (405|501)", re.IGNORECASE)
_NO_BUCKET = re.compile(
    r"NO_SUCH_BUCKET|NoSuchBucket|InvalidBucketName|Invalid bucket name|bucket does not exist|ContainerNotFound", re.IGNORECASE
)
_NO_OBJECT = re.compile(
    r"NO_SUCH_KEY|NoSuchKey|RESOURCE_NOT_FOUND|HTTP status 404|Path does not exist|BlobNotFound", re.IGNORECASE
)
_SHORTER = re.compile(r"INVALID_RANGE|InvalidRange|HTTP status 416", re.IGNORECASE)
# Of an address only the server is of use: in the rest a key can be called anything, and a signature is a secret.
_ADDRESS = re.compile(r"\b(\w+://)(?:[^\s/@\"']*@)?([^\s/?#\"'@]*)[^\s\"']*")
_MOST_CHARS = 200


# What pyarrow puts before the words of a store, whoever asked it: Parquet's readers hand them on among their own.
_OF_STORE = re.compile(r"AWS Error|google::cloud::Status|Azure Error|curlCode")


def is_of_store(error: BaseException) -> bool:
    """Whether an error of a reader is about the store and the way to it, not about what was read."""
    return isinstance(error, FileNotFoundError) or _OF_STORE.search(str(error)) is not None


def trouble(where: object, error: BaseException) -> RowcallError | OSError:
    """Give what to raise instead of an error of a store at the location `where`, which is named in it.

    FileNotFoundError where there is no such object, OSError where it is shorter than it was seen to be; StorageError where
    bucket, region, rights or credentials are the matter, or the store lacks a function; else StoppedError, for the network and
    the store itself come back.
    """
    if isinstance(error, RowcallError):
        return error
    # What the store said stands behind the SDK's account of what was asked, in which the key could be called anything.
    said = " ".join(str(error).split())
    said = _ADDRESS.sub(r"\1\2", said.partition("AWS Error ")[2] or said)
    if isinstance(error, FileNotFoundError) or _NO_OBJECT.search(said):
        return FileNotFoundError(errno.ENOENT, "there is no such object", str(where))
    if _SHORTER.search(said):
        return OSError(errno.ESTALE, "the object is not the one any more that was listed", str(where))
    short = said if len(said) <= _MOST_CHARS else f"{said[: _MOST_CHARS - 1]}…"
    if _NO_BUCKET.search(said):
        return StorageError(f"{where}: there is no such bucket, or not at this endpoint ({short})")
    if _UNABLE.search(said):
        return StorageError(f"{where}: the store cannot do what it was asked for ({short})")
    if _ELSEWHERE.search(said):
        return StorageError(f"{where}: the bucket is in another region; name it in AWS_REGION ({short})")
    if isinstance(error, PermissionError) or _DENIED.search(said):
        return StorageError(f"{where}: the store refuses: check the credentials and what they allow ({short})")
    return StoppedError(f"{where}: the store cannot be reached or failed ({short}); run again when it is back")
