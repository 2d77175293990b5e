# Every path is ours here, which nginx cannot be told by a value.
s#^location ~ .* {#location / {#
